#include "python/src/op.h"

namespace baracuda::python {
namespace {

#define FIELD(c_struct, name, kind) \
  { #name, Kind::kind, offsetof(baracuda_##c_struct, name), kNoFlag, false }
#define OPTIONAL_FIELD(c_struct, name, kind) \
  { #name, Kind::kind, offsetof(baracuda_##c_struct, name), offsetof(baracuda_##c_struct, has_##name), false }
#define VIEW(c_struct, name, is_written) \
  { #name, Kind::View, offsetof(baracuda_##c_struct, name), kNoFlag, is_written }

#define OP(op, Class)                                                                                          \
  {                                                                                                            \
    .name = #op, .class_name = #Class, .fields = k##Class##Fields, .args = k##Class##Args,                     \
    .descriptor_bytes = sizeof(baracuda_##op##_descriptor), .args_bytes = sizeof(baracuda_##op##_args),        \
    .init_descriptor =                                                                                         \
        [](void* descriptor, std::size_t bytes) {                                                              \
          return baracuda_##op##_descriptor_init(static_cast<baracuda_##op##_descriptor*>(descriptor), bytes); \
        },                                                                                                     \
    .select =                                                                                                  \
        [](const baracuda_stream* stream, const void* descriptor, const baracuda_preference* preference,       \
           baracuda_plan** plan) {                                                                             \
          return baracuda_##op##_select(stream, static_cast<const baracuda_##op##_descriptor*>(descriptor),    \
                                        preference, plan);                                                     \
        },                                                                                                     \
    .bind = [](const baracuda_plan* plan, const void* args, baracuda_call** call) {                            \
      return baracuda_##op##_bind(plan, static_cast<const baracuda_##op##_args*>(args), call);                 \
    },                                                                                                         \
  }

#include "python/src/members.inc"

#undef FIELD
#undef OPTIONAL_FIELD
#undef VIEW
#undef OP

}  // namespace

const std::span<const Op> kOps = kAllOps;
const std::span<const Member> kPreferenceMembers = kPreference;

}  // namespace baracuda::python
