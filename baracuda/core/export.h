#pragma once

/// Makes a symbol of the library's visible in libbaracuda.so, where all others are hidden. It stands on each function
/// that a public header declares and does not define, or once on a class whose functions are of that kind.
#define BARACUDA_API __attribute__((visibility("default")))

/// Keeps what is declared in such a class, and is none of the caller's business, out of it.
#define BARACUDA_HIDDEN __attribute__((visibility("hidden")))
