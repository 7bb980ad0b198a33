#pragma once

#include <cstddef>

#include "baracuda/core/element.h"

// Floating-point elements by their definition, for oracles and data: slow, and sharing nothing with the library.

namespace baracuda::testing {

/// The value of an f16, bf16, f32 or f64, exactly.
double read_float(Element element, const std::byte* bytes);

/// Writes the value that round_float gives. NaN becomes the positive quiet NaN without payload.
void write_float(Element element, double value, std::byte* bytes);

/// The nearest number of the element, ties to even, infinity from half a step past the greatest one on.
double round_float(Element element, double value);

/// The distance of neighbouring numbers of the element around `value`, which is finite.
double float_ulp(Element element, double value);

}  // namespace baracuda::testing
