#include "testing/cuda_graph.h"

#include "baracuda/core/propagate.h"
#include "baracuda/cuda/stream_access.h"

namespace baracuda::testing {
namespace {

using namespace baracuda::cuda;

}  // namespace

Result<CudaGraph> CudaGraph::capture(const Stream& stream, const std::function<Result<void>()>& body) {
  const DeviceContext& device = StreamAccess::device(stream);
  const CUstream handle = StreamAccess::handle(stream);
  BARACUDA_RETURN_IF_ERROR(call(device, "cuStreamBeginCapture", [&](const DriverApi& api) {
    return api.cuStreamBeginCapture_v2(handle, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  }));
  const Result<void> enqueued = body();
  // Ended after an error too: the stream must not stay in capture.
  CUgraph graph = nullptr;
  const Result<void> ended =
      call(device, "cuStreamEndCapture", [&](const DriverApi& api) { return api.cuStreamEndCapture(handle, &graph); });
  CUgraphExec executable = nullptr;
  Result<void> instantiated;
  if (enqueued && ended)
    instantiated = call(device, "cuGraphInstantiate",
                        [&](const DriverApi& api) { return api.cuGraphInstantiateWithFlags(&executable, graph, 0); });
  if (graph) device.api->cuGraphDestroy(graph);
  BARACUDA_RETURN_IF_ERROR(enqueued);
  BARACUDA_RETURN_IF_ERROR(ended);
  BARACUDA_RETURN_IF_ERROR(instantiated);
  return CudaGraph(executable);
}

CudaGraph::~CudaGraph() {
  if (!executable_) return;
  if (auto api = driver()) (*api)->cuGraphExecDestroy(executable_);
}

Result<void> CudaGraph::replay(const Stream& stream) const {
  return call(StreamAccess::device(stream), "cuGraphLaunch",
              [&](const DriverApi& api) { return api.cuGraphLaunch(executable_, StreamAccess::handle(stream)); });
}

}  // namespace baracuda::testing
