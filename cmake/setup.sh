#!/bin/bash
# Brings in what a build needs and this machine lacks: packages, libnvrtc. With nothing missing it only looks.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v dpkg-query >/dev/null; then
  echo "setup: this is not a Debian system: install what packages.txt lists and a libnvrtc.so.13," >&2
  echo "       then say 'make SETUP=:' to build without this check" >&2
  exit 2
fi

wanted=$(sed 's/#.*//' packages.txt)
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p') || true
missing=$(printf "%s\n" $wanted | grep -vxF "$installed" || true)
if [[ $missing ]]; then
  apt="apt-get install -y --no-install-recommends $(echo $missing)"
  if [[ $(id -u) == 0 ]]; then
    sudo=()
  elif sudo -n true 2>/dev/null; then
    sudo=(sudo -n)
  else
    echo "setup: packages are missing. Type this line, then try again:" >&2
    echo "sudo apt-get update && sudo $apt" >&2
    exit 2
  fi
  echo "setup: $apt"
  "${sudo[@]}" apt-get update -q
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive $apt
fi

# CMakeLists.txt puts the same places on the executables' search path.
nvrtc=libnvrtc.so.13
deps=build/deps/nvrtc
if grep -q "$nvrtc" <<<"$(/sbin/ldconfig -p)"; then exit; fi
for dir in {"${CUDA_HOME:-/usr/local/cuda}",/usr/local/cuda}/{lib64,lib} $deps/lib; do
  if [[ -e $dir/$nvrtc ]]; then exit; fi
done
echo "setup: no $nvrtc here: fetching NVIDIA's wheel of it into $deps"
rm -rf $deps
mkdir -p $deps/wheel
# Downloaded and unpacked, not installed: Debian's Python is externally managed.
if ! python3 -m pip download -q --no-deps --only-binary :all: -d $deps nvidia-cuda-nvrtc==13.0.88; then
  echo "setup: it cannot be fetched. The build goes on: the CPU works without it, CUDA kernels are not compiled" >&2
  rm -r $deps
  exit
fi
python3 -m zipfile -e $deps/*.whl $deps/wheel
# The last step makes lib/ appear, so that a run which was cut short starts again.
mv $deps/wheel/nvidia/cu13/lib $deps/lib
rm -r $deps/wheel $deps/*.whl $deps/lib/*.alt.so*
