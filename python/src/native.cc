// The extension module: plans of the C ABI on whatever lends its memory through DLPack. baracuda/_plan.py and
// baracuda/_ops.py are its only callers, and tell what all this is for.

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "python/src/error.h"
#include "python/src/op.h"
#include "python/src/operand.h"
#include "python/src/stream.h"
#include "python/src/struct_writer.h"
#include "python/src/values.h"

namespace nb = nanobind;

namespace baracuda::python {
namespace {

struct Destroy {
  void operator()(baracuda_plan* plan) const { baracuda_plan_destroy(plan); }
  void operator()(baracuda_call* call) const { baracuda_call_destroy(call); }
};
using PlanHandle = std::unique_ptr<baracuda_plan, Destroy>;
using CallHandle = std::unique_ptr<baracuda_call, Destroy>;

/// What a call runs on: one stream, or on CUDA whichever is a package's current one at the time.
class StreamSource {
 public:
  explicit StreamSource(Stream stream) : stream_(std::move(stream)) {}
  /// `stream` is a handle, or a function that gives the current stream's for a device.
  StreamSource(nb::handle stream, int ordinal) : ordinal_(ordinal) {
    if (PyCallable_Check(stream.ptr())) current_ = nb::borrow(stream);
    handle_ = current_.is_valid() ? current_handle() : static_cast<std::uintptr_t>(integer(stream));
    stream_ = adopted_stream(handle_, ordinal);
  }

  /// The function, where there is one.
  nb::object& current() { return current_; }
  /// As of the last get().
  std::uintptr_t handle() const { return handle_; }
  const Stream& get() {
    if (!current_.is_valid()) return stream_;
    if (const std::uintptr_t handle = current_handle(); handle != handle_) {
      stream_ = adopted_stream(handle, ordinal_);
      handle_ = handle;
    }
    return stream_;
  }

 private:
  std::uintptr_t current_handle() const { return static_cast<std::uintptr_t>(integer(current_(ordinal_))); }

  nb::object current_;  // invalid for one stream
  int ordinal_ = 0;
  std::uintptr_t handle_ = 0;
  Stream stream_;
};

/// Memory for a run.
struct Workspace {
  ManagedTensor lent;
  std::span<std::byte> memory;
};

class Call {
 public:
  Call(std::vector<ManagedTensor> tensors, Workspace workspace, StreamSource stream, CallHandle call)
      : tensors_(std::move(tensors)),
        workspace_(std::move(workspace)),
        stream_(std::move(stream)),
        call_(std::move(call)) {}

  void run() {
    const Stream stream = stream_.get();  // a copy: another thread may run the call on another stream meanwhile
    baracuda_status status;
    {
      const nb::gil_scoped_release released;
      status = baracuda_call_run(call_.get(), stream.get(), workspace_.memory.data(), workspace_.memory.size());
    }
    check(status);
  }

  nb::object& current_stream() { return stream_.current(); }

  const char* sku() const {
    const char* sku = nullptr;
    check(baracuda_call_sku(call_.get(), &sku));
    return sku;
  }

 private:
  std::vector<ManagedTensor> tensors_;  // whose memory the call uses
  Workspace workspace_;
  StreamSource stream_;
  CallHandle call_;
};

/// Room for a C struct that begins with its size and has zeros after it.
class StructBytes {
 public:
  explicit StructBytes(std::size_t struct_size) : words_((struct_size + 7) / 8) {
    std::memcpy(data(), &struct_size, sizeof struct_size);
  }
  void* data() { return words_.data(); }

 private:
  std::vector<std::uint64_t> words_;
};

void write_members(const char* owner, std::span<const Member> members, const nb::tuple& values, void* c_struct) {
  if (values.size() != members.size())
    raise_type_error("%s: expected %zu values, not %zu", owner, members.size(), values.size());
  for (std::size_t i = 0; i < members.size(); ++i) write_member(owner, members[i], nb::object(values[i]), c_struct);
}

const Op& op_named(std::string_view name) {
  for (const Op& op : kOps)
    if (op.name == name) return op;
  raise(BARACUDA_UNSUPPORTED, "there is no op %s", std::string(name).c_str());
}

class Plan {
 public:
  /// `fields` and `preference`: a value for each member, in their order; None leaves a member at its default. Without
  /// an `ordinal` it is a plan for the CPU, else one for that GPU, selected on the stream of `handle`.
  Plan(const std::string& op, const nb::tuple& fields, const nb::tuple& preference, int num_threads,
       std::optional<int> ordinal, std::uintptr_t handle)
      : op_(op_named(op)), ordinal_(ordinal) {
    StructBytes descriptor(op_.descriptor_bytes), demands(sizeof(baracuda_preference));
    check(op_.init_descriptor(descriptor.data(), op_.descriptor_bytes));
    write_members(op_.class_name, op_.fields, fields, descriptor.data());
    write_members("Preference", kPreferenceMembers, preference, demands.data());

    stream_ = ordinal ? adopted_stream(handle, *ordinal) : cpu_stream(num_threads);
    baracuda_plan* plan = nullptr;
    baracuda_status status;
    {
      const nb::gil_scoped_release released;
      status = op_.select(stream_.get(), descriptor.data(), static_cast<baracuda_preference*>(demands.data()), &plan);
    }
    check(status);
    plan_.reset(plan);
  }

  /// `values`: a tensor or a number for each member of the args, in their order, None where it is absent. On CUDA
  /// `stream` is as StreamSource takes it.
  Call bind(const nb::tuple& values, nb::handle workspace, nb::handle stream) const {
    if (values.size() != op_.args.size())
      raise_type_error("%s: expected %zu arguments, not %zu", op_.class_name, op_.args.size(), values.size());
    StreamSource source = ordinal_ ? StreamSource(stream, *ordinal_) : StreamSource(stream_);
    StructBytes args(op_.args_bytes);
    std::vector<Operand> operands;
    operands.reserve(values.size());  // args points into them
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Member& member = op_.args[i];
      const nb::object value = values[i];
      if (member.kind != Kind::View) {
        write_member(op_.class_name, member, value, args.data());
      } else if (!value.is_none()) {
        operands.push_back(operand(member.name, value, member.is_written, source));
        write_view(member, &operands.back().tensor(), args.data());
      }
    }

    baracuda_call* call = nullptr;
    check(op_.bind(plan_.get(), args.data(), &call));
    CallHandle handle(call);
    std::vector<ManagedTensor> tensors;
    tensors.reserve(operands.size());
    for (Operand& operand : operands) tensors.push_back(std::move(operand).take_memory());
    return Call(std::move(tensors), scratch(workspace, source), std::move(source), std::move(handle));
  }

  const char* sku() const { return text(baracuda_plan_sku); }
  const char* guarantee() const { return text(baracuda_plan_guarantee); }
  const char* explain() const { return text(baracuda_plan_explain); }
  std::int64_t workspace_size() const {
    std::int64_t bytes = 0;
    check(baracuda_plan_workspace_size(plan_.get(), &bytes));
    return bytes;
  }
  bool workspace_must_be_zero() const {
    baracuda_flag flag = 0;
    check(baracuda_plan_workspace_must_be_zero(plan_.get(), &flag));
    return flag != 0;
  }

 private:
  const char* text(baracuda_status (*ask)(const baracuda_plan*, const char**)) const {
    const char* text = nullptr;
    check(ask(plan_.get(), &text));
    return text;
  }

  Operand operand(const char* name, nb::handle value, bool is_written, const StreamSource& source) const {
    return Operand({op_.class_name, name}, value, is_written, {ordinal_, source.handle()});
  }

  Workspace scratch(nb::handle value, const StreamSource& source) const {
    if (value.is_none()) return {};
    Operand operand = this->operand("workspace", value, true, source);
    const std::span memory = operand.contiguous_memory({op_.class_name, "workspace"}, ordinal_);
    return {std::move(operand).take_memory(), memory};
  }

  const Op& op_;
  std::optional<int> ordinal_;
  Stream stream_;  // the CPU's; what a plan for a GPU was selected on
  PlanHandle plan_;
};

// ---- what the garbage collector sees: a tensor whose attribute is a view of itself is a cycle ---------------------

nb::object& referred(Reinterpreted& view) { return view.tensor; }
nb::object& referred(Call& call) { return call.current_stream(); }

template <class T>
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (nb::inst_ready(self)) Py_VISIT(referred(*nb::inst_ptr<T>(self)).ptr());
  return 0;
}

template <class T>
int clear(PyObject* self) {
  if (nb::inst_ready(self)) referred(*nb::inst_ptr<T>(self)) = nb::none();
  return 0;
}

template <class T>
const PyType_Slot kSlots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse<T>)},
                              {Py_tp_clear, reinterpret_cast<void*>(clear<T>)},
                              {0, nullptr}};

}  // namespace
}  // namespace baracuda::python

NB_MODULE(_native, module) {
  using namespace baracuda::python;
  nb::set_leak_warnings(false);  // objects that live at exit are the program's
  check(baracuda_check_abi(BARACUDA_ABI_VERSION));
  module.attr("version") = baracuda_version();
  module.def("num_cuda_devices", baracuda_num_cuda_devices);

  nb::class_<Reinterpreted>(module, "View", nb::type_slots(kSlots<Reinterpreted>))
      .def("__init__",
           [](Reinterpreted* self, nb::object tensor, std::uint8_t code, std::uint8_t bits,
              std::optional<std::vector<std::int64_t>> shape) {
             new (self) Reinterpreted{std::move(tensor), {code, bits, 1}, std::move(shape)};
           })
      .def_ro("tensor", &Reinterpreted::tensor);
  nb::class_<Call>(module, "Call", nb::type_slots(kSlots<Call>))
      .def("__call__", &Call::run)
      .def_prop_ro("sku", &Call::sku);
  nb::class_<Plan>(module, "Plan")
      .def(nb::init<const std::string&, const nb::tuple&, const nb::tuple&, int, std::optional<int>, std::uintptr_t>(),
           nb::arg("op"), nb::arg("fields"), nb::arg("preference"), nb::arg("num_threads"), nb::arg("ordinal").none(),
           nb::arg("handle"))
      .def("bind", &Plan::bind, nb::arg("values"), nb::arg("workspace").none(), nb::arg("stream").none())
      .def("explain", &Plan::explain)
      .def_prop_ro("sku", &Plan::sku)
      .def_prop_ro("guarantee", &Plan::guarantee)
      .def_prop_ro("workspace_size", &Plan::workspace_size)
      .def_prop_ro("workspace_must_be_zero", &Plan::workspace_must_be_zero);
}
