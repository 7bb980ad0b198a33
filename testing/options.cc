#include "testing/options.h"

namespace baracuda::testing {
namespace {

Options& process_options() {
  static Options options;
  return options;
}

}  // namespace

const Options& options() { return process_options(); }
void set_options(const Options& options) { process_options() = options; }

}  // namespace baracuda::testing
