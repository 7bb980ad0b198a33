#pragma once

#include "bench/ceilings/ceilings_config.h"

namespace baracuda::bench {

/// Nothing, but not so that the parameters could be left out.
inline void empty(const EmptyParams& params) {
  if (params.words[0] != 0) __trap();
}

}  // namespace baracuda::bench
