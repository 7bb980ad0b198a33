#include "baracuda/capi/baracuda_c.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <string>
#include <type_traits>

#include "baracuda/baracuda.h"
#include "baracuda/capi/last_error.h"
#include "baracuda/capi/struct_reader.h"
#include "baracuda/core/propagate.h"

using namespace baracuda;

static_assert(BARACUDA_INVALID_PROBLEM == static_cast<int>(ErrorKind::InvalidProblem));
static_assert(BARACUDA_UNSUPPORTED == static_cast<int>(ErrorKind::Unsupported));
static_assert(BARACUDA_MISALIGNED_OPERAND == static_cast<int>(ErrorKind::MisalignedOperand));
static_assert(BARACUDA_BUFFER_TOO_SMALL == static_cast<int>(ErrorKind::BufferTooSmall));
static_assert(BARACUDA_WORKSPACE_TOO_SMALL == static_cast<int>(ErrorKind::WorkspaceTooSmall));
static_assert(BARACUDA_BACKEND == static_cast<int>(ErrorKind::Backend));
static_assert(BARACUDA_MALFORMED_FILE == static_cast<int>(ErrorKind::MalformedFile));
static_assert(BARACUDA_IO == static_cast<int>(ErrorKind::Io));
static_assert(sizeof(baracuda_dims) == capi::bytes_of(capi::FieldKind::Extents));
// Padding would be read as numbers where a library does not know the member, and C leaves in it what it likes.
static_assert(std::has_unique_object_representations_v<baracuda_dims>);

/// Whether a C struct may have so many bytes.
template <class Struct>
constexpr bool is_size_of(std::size_t bytes) {
  return capi::kFirstBytes<Struct> <= bytes && bytes <= capi::kMostStructBytes;
}
static_assert(is_size_of<PlanPreference>(sizeof(baracuda_preference)));

namespace {

/// A text that is made when it is first asked for.
class LazyText {
 public:
  template <class Make>
  Result<const char*> get(Make&& make) const {
    const std::lock_guard lock(mutex_);
    if (text_.empty()) {
      BARACUDA_ASSIGN_OR_RETURN(text_, make());
    }
    return text_.c_str();
  }

 private:
  mutable std::mutex mutex_;
  mutable std::string text_;
};

}  // namespace

struct baracuda_stream {
  Stream stream;
};

/// What the functions of all ops need of a plan. The op is P::kName, that very text: it tells P.
struct baracuda_plan {
  baracuda_plan(const char* op, Device device) : op(op), device(device) {}
  virtual ~baracuda_plan() = default;
  virtual Result<const char*> explanation() const = 0;

  const char* op;
  Device device;
  std::string sku, guarantee;
  std::int64_t workspace_size = 0;
  bool workspace_must_be_zero = false;
};

struct baracuda_call {
  virtual ~baracuda_call() = default;
  virtual Result<void> run(const Stream& stream, void* workspace, std::size_t workspace_bytes) const = 0;
  virtual Result<const char*> sku() const = 0;
};

namespace {

baracuda_status status_of(const Result<void>& result) noexcept {
  return result ? BARACUDA_OK : capi::keep_last_error(result.error());
}

/// The text of an error of the C ABI: "baracuda_plan_sku: plan is NULL, …".
Error null_argument(const char* function, const char* argument) {
  return Error::invalid_problem(fmt::format("{}: {} is NULL, expected a pointer", function, argument));
}

struct Argument {
  const char* name;
  const void* pointer;
};

Result<void> expect(const char* function, std::initializer_list<Argument> arguments) {
  for (const Argument& argument : arguments)
    if (argument.pointer == nullptr) [[unlikely]]
      return null_argument(function, argument.name);
  return {};
}

/// A call's body: what it throws becomes an error.
template <class Body>
baracuda_status guarded(const char* function, Body&& body) noexcept {
  try {
    return status_of(body());
  } catch (...) {
    return capi::keep_last_error(internal::thrown_error(function));
  }
}

/// Stores a new handle, or NULL, where the argument `name` points.
template <class Handle, class Make>
baracuda_status make_handle(const char* function, const char* name, Handle** handle, Make&& make) noexcept {
  if (handle != nullptr) *handle = nullptr;
  return guarded(function, [&]() -> Result<void> {
    if (handle == nullptr) return null_argument(function, name);
    BARACUDA_ASSIGN_OR_RETURN(*handle, make());
    return {};
  });
}

/// Stores what `get` finds out about a handle.
template <class T, class Get>
baracuda_status answer(const char* function, const Argument& handle, const char* name, T* place, Get&& get) noexcept {
  return guarded(function, [&]() -> Result<void> {
    BARACUDA_RETURN_IF_ERROR(expect(function, {handle, {name, place}}));
    BARACUDA_ASSIGN_OR_RETURN(*place, get());
    return {};
  });
}

DLDevice dl_device(Device device) { return {device.is_cpu() ? kDLCPU : kDLCUDA, device.ordinal}; }

Workspace make_workspace(void* data, std::size_t bytes, Device device) {
  constexpr std::size_t kMost = std::numeric_limits<std::int64_t>::max();
  return Workspace(data, static_cast<std::int64_t>(std::min(bytes, kMost)), device);
}

template <class P>
struct PlanHandle final : baracuda_plan {
  PlanHandle(P selected, const Stream& stream, const PlanPreference& preference)
      : baracuda_plan(P::kName.data(), stream.device()),
        plan(std::move(selected)),
        preference(preference),
        device_info(stream.device_info()) {
    sku = plan.sku().to_string();
    guarantee = plan.precision_guarantee().to_string();
    workspace_size = plan.workspace_size();
    workspace_must_be_zero = plan.workspace_must_be_zero();
  }

  Result<const char*> explanation() const override {
    return text.get([this] {
      return P::explain(plan.descriptor(), preference, device_info).transform([](const Explanation& explanation) {
        return explanation.to_string();
      });
    });
  }

  P plan;
  PlanPreference preference;
  DeviceInfo device_info;
  LazyText text;
};

template <class P>
struct CallHandle final : baracuda_call {
  CallHandle(const P& plan, const typename P::Args& args, Device device) : plan(plan), args(args), device(device) {}

  Result<void> run(const Stream& stream, void* workspace, std::size_t workspace_bytes) const override {
    return plan.run(stream, make_workspace(workspace, workspace_bytes, device), args);
  }
  Result<const char*> sku() const override {
    return text.get([this] { return plan.sku(args).transform([](const KernelSku& sku) { return sku.to_string(); }); });
  }

  P plan;
  typename P::Args args;
  Device device;
  LazyText text;
};

/// Errors: InvalidProblem where the plan is NULL or of another op.
template <class P>
Result<const PlanHandle<P>*> plan_of(const baracuda_plan* plan) {
  if (plan == nullptr) [[unlikely]]
    return Error::invalid_problem(fmt::format("{}: plan is NULL, expected a plan", P::kName));
  if (plan->op != P::kName.data()) [[unlikely]]
    return Error::invalid_problem(fmt::format("{}: plan is one of {}, expected {}", P::kName, plan->op, P::kName));
  return static_cast<const PlanHandle<P>*>(plan);
}

template <class P>
baracuda_status init_descriptor(void* descriptor, std::size_t struct_size) noexcept {
  return guarded(P::kName.data(), [&] {
    return capi::write_defaults<typename P::Descriptor>(P::kName, "descriptor", descriptor, struct_size);
  });
}

template <class P>
baracuda_status select(const baracuda_stream* stream, const void* descriptor, const void* preference,
                       baracuda_plan** plan) noexcept {
  return make_handle(P::kName.data(), "plan", plan, [&]() -> Result<baracuda_plan*> {
    BARACUDA_RETURN_IF_ERROR(expect(P::kName.data(), {{"stream", stream}}));
    BARACUDA_ASSIGN_OR_RETURN(
        const auto read_descriptor,
        capi::read_struct<typename P::Descriptor>(P::kName, "descriptor", stream->stream.device(), descriptor));
    PlanPreference read_preference;
    if (preference != nullptr) {
      BARACUDA_ASSIGN_OR_RETURN(read_preference, capi::read_struct<PlanPreference>(
                                                     P::kName, "preference", stream->stream.device(), preference));
    }
    BARACUDA_ASSIGN_OR_RETURN(P selected, P::select(stream->stream, read_descriptor, read_preference));
    return new PlanHandle<P>(std::move(selected), stream->stream, read_preference);
  });
}

template <class P>
baracuda_status run(const baracuda_plan* plan, const baracuda_stream* stream, void* workspace,
                    std::size_t workspace_bytes, const void* args) noexcept {
  return guarded(P::kName.data(), [&]() -> Result<void> {
    BARACUDA_ASSIGN_OR_RETURN(const PlanHandle<P>* handle, plan_of<P>(plan));
    BARACUDA_RETURN_IF_ERROR(expect(P::kName.data(), {{"stream", stream}}));
    BARACUDA_ASSIGN_OR_RETURN(const auto read_args,
                              capi::read_struct<typename P::Args>(P::kName, "args", handle->device, args));
    return handle->plan.run(stream->stream, make_workspace(workspace, workspace_bytes, handle->device), read_args);
  });
}

template <class P>
baracuda_status bind(const baracuda_plan* plan, const void* args, baracuda_call** call) noexcept {
  return make_handle(P::kName.data(), "call", call, [&]() -> Result<baracuda_call*> {
    BARACUDA_ASSIGN_OR_RETURN(const PlanHandle<P>* handle, plan_of<P>(plan));
    BARACUDA_ASSIGN_OR_RETURN(const auto read_args,
                              capi::read_struct<typename P::Args>(P::kName, "args", handle->device, args));
    BARACUDA_RETURN_IF_ERROR(handle->plan.can_implement(read_args));
    return new CallHandle<P>(handle->plan, read_args, handle->device);
  });
}

}  // namespace

// ---- errors and versions --------------------------------------------------------------------------------------------

const char* baracuda_status_name(baracuda_status status) noexcept {
  if (status == BARACUDA_OK) return "Ok";
  // The names are literals.
  return status > 0 && status < capi::kEnumValues ? name_of(static_cast<ErrorKind>(status)).data() : "invalid";
}

baracuda_status baracuda_check_abi(std::int32_t abi_version) noexcept {
  return guarded(__func__, [&]() -> Result<void> {
    if (abi_version == BARACUDA_ABI_VERSION) return {};
    return Error::unsupported(
        fmt::format("baracuda_check_abi: the program was built for version {} of the ABI, the library, {}, has "
                    "version {}",
                    abi_version, version(), BARACUDA_ABI_VERSION));
  });
}

const char* baracuda_version() noexcept { return version().data(); }

// ---- streams --------------------------------------------------------------------------------------------------------

baracuda_status baracuda_stream_cpu(std::int32_t num_threads, baracuda_stream** stream) noexcept {
  return make_handle(__func__, "stream", stream,
                     [&]() -> Result<baracuda_stream*> { return new baracuda_stream{Stream::cpu(num_threads)}; });
}

baracuda_status baracuda_stream_cuda(std::int32_t ordinal, baracuda_stream** stream) noexcept {
  return make_handle(__func__, "stream", stream, [&] {
    return Stream::cuda(ordinal).transform([](Stream&& made) { return new baracuda_stream{std::move(made)}; });
  });
}

baracuda_status baracuda_stream_adopt_cuda(void* cuda_stream, std::int32_t ordinal, baracuda_stream** stream) noexcept {
  return make_handle(__func__, "stream", stream, [&] {
    return Stream::adopt_cuda(cuda_stream, ordinal).transform([](Stream&& adopted) {
      return new baracuda_stream{std::move(adopted)};
    });
  });
}

baracuda_status baracuda_stream_synchronize(const baracuda_stream* stream) noexcept {
  return guarded(__func__, [&]() -> Result<void> {
    BARACUDA_RETURN_IF_ERROR(expect("baracuda_stream_synchronize", {{"stream", stream}}));
    return stream->stream.synchronize();
  });
}

baracuda_status baracuda_stream_device(const baracuda_stream* stream, DLDevice* device) noexcept {
  return answer(__func__, {"stream", stream}, "device", device,
                [&]() -> Result<DLDevice> { return dl_device(stream->stream.device()); });
}

void baracuda_stream_destroy(baracuda_stream* stream) noexcept { delete stream; }

std::int32_t baracuda_num_cuda_devices() noexcept { return num_cuda_devices(); }

// ---- plans of every op ----------------------------------------------------------------------------------------------

baracuda_status baracuda_plan_op(const baracuda_plan* plan, const char** name) noexcept {
  return answer(__func__, {"plan", plan}, "name", name, [&]() -> Result<const char*> { return plan->op; });
}

baracuda_status baracuda_plan_sku(const baracuda_plan* plan, const char** sku) noexcept {
  return answer(__func__, {"plan", plan}, "sku", sku, [&]() -> Result<const char*> { return plan->sku.c_str(); });
}

baracuda_status baracuda_plan_guarantee(const baracuda_plan* plan, const char** guarantee) noexcept {
  return answer(__func__, {"plan", plan}, "guarantee", guarantee,
                [&]() -> Result<const char*> { return plan->guarantee.c_str(); });
}

baracuda_status baracuda_plan_explain(const baracuda_plan* plan, const char** explanation) noexcept {
  return answer(__func__, {"plan", plan}, "explanation", explanation, [&] { return plan->explanation(); });
}

baracuda_status baracuda_plan_workspace_size(const baracuda_plan* plan, std::int64_t* bytes) noexcept {
  return answer(__func__, {"plan", plan}, "bytes", bytes,
                [&]() -> Result<std::int64_t> { return plan->workspace_size; });
}

baracuda_status baracuda_plan_workspace_must_be_zero(const baracuda_plan* plan, baracuda_flag* must_be_zero) noexcept {
  return answer(__func__, {"plan", plan}, "must_be_zero", must_be_zero,
                [&]() -> Result<baracuda_flag> { return plan->workspace_must_be_zero; });
}

baracuda_status baracuda_plan_device(const baracuda_plan* plan, DLDevice* device) noexcept {
  return answer(__func__, {"plan", plan}, "device", device,
                [&]() -> Result<DLDevice> { return dl_device(plan->device); });
}

void baracuda_plan_destroy(baracuda_plan* plan) noexcept { delete plan; }

baracuda_status baracuda_call_run(const baracuda_call* call, const baracuda_stream* stream, void* workspace,
                                  std::size_t workspace_bytes) noexcept {
  return guarded(__func__, [&]() -> Result<void> {
    BARACUDA_RETURN_IF_ERROR(expect("baracuda_call_run", {{"call", call}, {"stream", stream}}));
    return call->run(stream->stream, workspace, workspace_bytes);
  });
}

baracuda_status baracuda_call_sku(const baracuda_call* call, const char** sku) noexcept {
  return answer(__func__, {"call", call}, "sku", sku, [&] { return call->sku(); });
}

void baracuda_call_destroy(baracuda_call* call) noexcept { delete call; }

// ---- plans of one op ------------------------------------------------------------------------------------------------

#define PLAN(name, P)                                                                                               \
  static_assert(P::kName == #name);                                                                                 \
  static_assert(is_size_of<P::Descriptor>(sizeof(baracuda_##name##_descriptor)));                                   \
  static_assert(is_size_of<P::Args>(sizeof(baracuda_##name##_args)));                                               \
  baracuda_status baracuda_##name##_descriptor_init(baracuda_##name##_descriptor* descriptor,                       \
                                                    std::size_t struct_size) noexcept {                             \
    return init_descriptor<P>(descriptor, struct_size);                                                             \
  }                                                                                                                 \
  baracuda_status baracuda_##name##_select(const baracuda_stream* stream,                                           \
                                           const baracuda_##name##_descriptor* descriptor,                          \
                                           const baracuda_preference* preference, baracuda_plan** plan) noexcept {  \
    return select<P>(stream, descriptor, preference, plan);                                                         \
  }                                                                                                                 \
  baracuda_status baracuda_##name##_run(const baracuda_plan* plan, const baracuda_stream* stream, void* workspace,  \
                                        std::size_t workspace_bytes, const baracuda_##name##_args* args) noexcept { \
    return run<P>(plan, stream, workspace, workspace_bytes, args);                                                  \
  }                                                                                                                 \
  baracuda_status baracuda_##name##_bind(const baracuda_plan* plan, const baracuda_##name##_args* args,             \
                                         baracuda_call** call) noexcept {                                           \
    return bind<P>(plan, args, call);                                                                               \
  }
#include "baracuda/capi/ops.def"
