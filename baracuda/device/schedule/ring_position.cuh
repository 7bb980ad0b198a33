#pragma once

namespace baracuda {

/// Where a thread is in a ring of kStages stages, and the parity of the phase that the barriers of this round are in:
/// the phase that `full` ends when the stage's data is there. In the first round the stages are free: a barrier's phase
/// of parity 1, the one before its first, counts as ended.
template <int kStages>
struct RingPosition {
  int stage = 0;
  unsigned parity = 0;

  void advance() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

}  // namespace baracuda
