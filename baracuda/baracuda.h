#pragma once

/// The one header that a user of baracuda includes.

#include "baracuda/core/activation.h"
#include "baracuda/core/arch.h"
#include "baracuda/core/buffer.h"
#include "baracuda/core/device.h"
#include "baracuda/core/dims.h"
#include "baracuda/core/element.h"
#include "baracuda/core/preference.h"
#include "baracuda/core/result.h"
#include "baracuda/core/sku.h"
#include "baracuda/core/stream.h"
#include "baracuda/core/version.h"
#include "baracuda/core/view.h"
#include "baracuda/jit/jit.h"
#include "baracuda/ops/dynamic_range_quantize/dynamic_range_quantize.h"
#include "baracuda/ops/elementwise/elementwise.h"
#include "baracuda/ops/kv_cache_append/kv_cache_append.h"
#include "baracuda/ops/quantized_linear/quantized_linear.h"
#include "baracuda/ops/write_slice/write_slice.h"
#include "baracuda/plan/plan.h"
#include "baracuda/plan/plan_cache.h"
