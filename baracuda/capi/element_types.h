#pragma once

#include "baracuda/capi/dlpack/dlpack.h"
#include "baracuda/core/element.h"

namespace baracuda::capi {

/// DLPack's dtype of an element kind, of one lane. The other kinds have none.
struct ElementType {
  Element element;
  DLDataTypeCode code;
  int bits;
};
inline constexpr ElementType kElementTypes[] = {
    {Element::F32, kDLFloat, 32},
    {Element::F16, kDLFloat, 16},
    {Element::Bf16, kDLBfloat, 16},
    {Element::F64, kDLFloat, 64},
    {Element::I8, kDLInt, 8},
    {Element::I16, kDLInt, 16},
    {Element::I32, kDLInt, 32},
    {Element::I64, kDLInt, 64},
    {Element::U8, kDLUInt, 8},
    {Element::U16, kDLUInt, 16},
    {Element::U32, kDLUInt, 32},
    {Element::U64, kDLUInt, 64},
    {Element::Bool, kDLBool, 8},
    {Element::F8E4M3, kDLFloat8_e4m3fn, 8},
    {Element::F8E5M2, kDLFloat8_e5m2, 8},
    {Element::Complex64, kDLComplex, 64},
    {Element::Complex128, kDLComplex, 128},
    {Element::S4, kDLInt, 4},
    {Element::U4, kDLUInt, 4},
};

}  // namespace baracuda::capi
