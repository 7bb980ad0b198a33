#include "baracuda/jit/kernel_spec.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <vector>

namespace baracuda::jit {
namespace {

struct Inputs {
  KernelSpec spec = {"op.rows", "#include \"a/x.h\"\nextern \"C\" __global__ void baracuda_kernel() {}\n",
                     CodeTarget::for_cuda(90, true)};
  NvrtcVersion version = {13, 0};
  std::vector<EmbeddedSource> sources = {
      {"a/x.h", "#pragma once\n  #  include \"a/y.h\"  // needed\n// #include \"a/absent.h\"\n#include <absent>\n"},
      {"a/y.h", "#include \"a/x.h\"\nint y;\n"},
      {"a/z.h", "int z;\n"},
  };

  KernelKey key() const {
    const auto key = kernel_key(spec, version, sources);
    EXPECT_TRUE(key) << key.error().message;
    return key.value_or(KernelKey());
  }
};

TEST(KernelKey, IsSha256AsHex) {
  const std::string hex = Inputs().key().hex();
  EXPECT_EQ(hex.size(), 64u);
  EXPECT_EQ(hex.find_first_not_of("0123456789abcdef"), hex.npos);
  EXPECT_EQ(hex, Inputs().key().hex());
}

TEST(KernelKey, ChangesWithEveryInput) {
  const std::map<std::string, std::function<void(Inputs&)>> changes = {
      {"text", [](Inputs& in) { in.spec.text += " "; }},
      {"content of a header", [](Inputs& in) { in.sources[0].text = "#include \"a/y.h\"\n"; }},
      {"content of a header behind a header", [](Inputs& in) { in.sources[1].text = "int z;\n"; }},
      {"one more header", [](Inputs& in) { in.spec.text.insert(0, "#include \"a/z.h\"\n"); }},
      {"name of a header",
       [](Inputs& in) {
         in.sources[1].name = "a/v.h";
         in.sources[0].text = "#include \"a/v.h\"\n";
       }},
      {"capability", [](Inputs& in) { in.spec.target = CodeTarget::for_cuda(80, false); }},
      {"suffix", [](Inputs& in) { in.spec.target = CodeTarget::for_cuda(90, false); }},
      {"major version", [](Inputs& in) { in.version.major = 12; }},
      {"minor version", [](Inputs& in) { in.version.minor = 1; }},
      {"debug", [](Inputs& in) { in.spec.debug = true; }},
  };
  std::map<KernelKey, std::string> seen = {{Inputs().key(), "nothing"}};
  for (const auto& [name, change] : changes) {
    Inputs changed;
    change(changed);
    const auto [entry, is_new] = seen.emplace(changed.key(), name);
    EXPECT_TRUE(is_new) << name << " gives the key of " << entry->second;
  }
}

TEST(KernelKey, MovingBytesBetweenFieldsChangesIt) {
  Inputs one, two;
  one.sources = {{"a/x.h", "int a;"}, {"a/x.hi", ""}};
  two.sources = {{"a/x.hi", "nt a;"}, {"a/x.h", ""}};
  one.spec.text = two.spec.text = "#include \"a/x.h\"\n#include \"a/x.hi\"\n";
  EXPECT_NE(one.key(), two.key());
}

TEST(KernelKey, IsTheSameForWhatDoesNotChangeTheCode) {
  const KernelKey key = Inputs().key();
  Inputs renamed;
  renamed.spec.name = "another";
  EXPECT_EQ(renamed.key(), key);

  Inputs other_headers;
  other_headers.sources[2].text = "int a header that is not included;";
  other_headers.sources.push_back({"a/new.h", ""});
  EXPECT_EQ(other_headers.key(), key);

  Inputs another_order;
  std::swap(another_order.sources[0], another_order.sources[2]);
  EXPECT_EQ(another_order.key(), key);

  setenv("BARACUDA_KEY_TEST", "1", 1);
  EXPECT_EQ(Inputs().key(), key);
  unsetenv("BARACUDA_KEY_TEST");
}

TEST(KernelManifest, HasALineForEveryFieldOfTheKey) {
  const auto manifest_of = [](const Inputs& in) {
    const auto manifest = kernel_manifest(in.spec, KernelKey(), in.version, in.sources);
    EXPECT_TRUE(manifest) << manifest.error().message;
    return manifest.value_or("");
  };
  const std::string manifest = manifest_of(Inputs());
  for (const char* line : {"key 000000", "\nname op.rows\n", "\ntarget sm90a\n", "\nnvrtc 13.0\n", "\ntext ",
                           "\noption --gpu-architecture=sm_90a\n", "\ninclude a/x.h ", "\ninclude a/y.h "})
    EXPECT_NE(manifest.find(line), manifest.npos) << line << manifest;
  EXPECT_EQ(manifest.find("a/z.h"), manifest.npos);

  const std::vector<std::function<void(Inputs&)>> changes = {
      [](Inputs& in) { in.spec.text += " "; },
      [](Inputs& in) { in.sources[0].text = "#include \"a/y.h\"\n"; },
      [](Inputs& in) { in.sources[1].text = "int z;\n"; },
      [](Inputs& in) { in.spec.target = CodeTarget::for_cuda(80, false); },
      [](Inputs& in) { in.version.minor = 1; },
      [](Inputs& in) { in.spec.debug = true; },
      [](Inputs& in) { in.spec.name = "op.columns"; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Inputs changed;
    changes[i](changed);
    EXPECT_NE(manifest_of(changed), manifest) << i;
  }
}

TEST(IncludedSources, AreFollowedOnceAndSorted) {
  const Inputs in;
  const auto found = included_sources(in.spec.text, in.sources);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0]->name, "a/x.h");
  EXPECT_EQ((*found)[1]->name, "a/y.h");
  EXPECT_TRUE(included_sources("", in.sources)->empty());
  EXPECT_EQ(included_sources("#include\"a/z.h\"", in.sources)->size(), 1u);  // no blank, no line end
}

TEST(IncludedSources, UnknownIsAnErrorThatNamesIt) {
  const auto found = included_sources("#include \"a/none.h\"\n", Inputs().sources);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::InvalidProblem);
  EXPECT_NE(found.error().message.find("a/none.h"), std::string::npos);
  EXPECT_FALSE(kernel_key({"k", "#include \"a/none.h\"\n", {}}, {13, 0}, Inputs().sources));
}

TEST(IncludedSources, EmbeddedHeadersIncludeOnlyEmbeddedOnes) {
  for (const EmbeddedSource& source : embedded_sources()) {
    const auto found = included_sources(source.text, embedded_sources());
    EXPECT_TRUE(found) << source.name << ": " << found.error().message;
  }
}

TEST(CompileOptions, NameTheTarget) {
  EXPECT_EQ(compile_options(CodeTarget::for_cuda(80, false))[0], "--gpu-architecture=sm_80");
  EXPECT_EQ(compile_options(CodeTarget::for_cuda(90, true))[0], "--gpu-architecture=sm_90a");
}

TEST(CudaTarget, IsTheClassesOwnWhereItLoads) {
  const auto target = [](int sm, Arch arch) {
    DeviceInfo device;
    device.target = CodeTarget::for_cuda(sm, false);
    return code_target(device, arch);
  };
  for (const int sm : {80, 86, 87, 89}) EXPECT_EQ(target(sm, Arch::Sm80), CodeTarget::for_cuda(80, false)) << sm;
  EXPECT_EQ(target(89, Arch::Sm89), CodeTarget::for_cuda(89, false));
  EXPECT_EQ(target(90, Arch::Sm90a), CodeTarget::for_cuda(90, true));
  // Forced on a newer device: the class's text, the device's capability.
  EXPECT_EQ(target(90, Arch::Sm80), CodeTarget::for_cuda(90, false));
  EXPECT_EQ(target(90, Arch::Sm89), CodeTarget::for_cuda(90, false));
  EXPECT_EQ(target(100, Arch::Sm89), CodeTarget::for_cuda(100, false));
  EXPECT_EQ(target(120, Arch::Sm80), CodeTarget::for_cuda(120, false));
  for (const DeviceInfo& device : {DeviceInfo::sm80(), DeviceInfo::sm89(), DeviceInfo::sm90a()})
    EXPECT_EQ(code_target(device, device.arch), native_target(device.arch));
}

}  // namespace
}  // namespace baracuda::jit
