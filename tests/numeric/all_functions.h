// All of baracuda/device/numeric/. No guard: with Highway it is read once per instruction set, as they are.

#include "baracuda/device/numeric/activation.cuh"
#include "baracuda/device/numeric/convert.cuh"
#include "baracuda/device/numeric/erf.cuh"
#include "baracuda/device/numeric/exp.cuh"
#include "baracuda/device/numeric/fmod.cuh"
#include "baracuda/device/numeric/hyperbolic.cuh"
#include "baracuda/device/numeric/hypot.cuh"
#include "baracuda/device/numeric/inverse_trig.cuh"
#include "baracuda/device/numeric/log.cuh"
#include "baracuda/device/numeric/pow.cuh"
#include "baracuda/device/numeric/sigmoid.cuh"
#include "baracuda/device/numeric/trig.cuh"
