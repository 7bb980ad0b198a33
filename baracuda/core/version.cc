#include "baracuda/core/version.h"

namespace baracuda {

std::string_view version() { return BARACUDA_VERSION; }

}  // namespace baracuda
