#include "baracuda/plan/workspace_layout.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "testing/property.h"

namespace baracuda {
namespace {

using testing::draw;
using testing::property;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(WorkspaceLayout, WithoutArraysIsEmpty) {
  EXPECT_EQ(WorkspaceLayout().total_bytes(), 0);
  EXPECT_EQ(WorkspaceLayout().to_string(), "");
}

TEST(WorkspaceLayout, ArraysFollowEachOther) {
  WorkspaceLayout layout;
  EXPECT_EQ(layout.add("locks", 12)->offset_bytes, 0);
  EXPECT_EQ(layout.add("partial_sums", 100)->offset_bytes, 256);
  EXPECT_EQ(layout.add("flags", 3, 4)->offset_bytes, 356);
  EXPECT_EQ(layout.add("bytes", 1, 1)->offset_bytes, 359);
  EXPECT_EQ(layout.total_bytes(), 360);
  EXPECT_EQ(layout.to_string(),
            "locks at 0, 12 bytes\n"
            "partial_sums at 256, 100 bytes\n"
            "flags at 356, 3 bytes\n"
            "bytes at 359, 1 bytes\n");
}

TEST(WorkspaceLayout, PointersLieWhereTheArraysDo) {
  alignas(256) char memory[512];
  WorkspaceLayout layout;
  const auto first = layout.add("first", 4), second = layout.add("second", 8);
  ASSERT_TRUE(first && second);
  const Workspace workspace(memory, layout.total_bytes(), Device::cpu());
  EXPECT_EQ(static_cast<void*>(layout.pointer<float>(workspace, *first)), memory);
  EXPECT_EQ(static_cast<void*>(layout.pointer<double>(workspace, *second)), memory + 256);
}

TEST(WorkspaceLayout, ArraysAreAlignedAndApart) {
  property("arrays are aligned, in order, without overlap, and within the total", [] {
    WorkspaceLayout layout;
    std::int64_t end = 0;
    for (std::int64_t count = draw(0, 8, "arrays"); count > 0; --count) {
      const std::int64_t bytes = draw(0, 1000, "bytes"), alignment = std::int64_t{1} << draw(0, 8, "log2(alignment)");
      const auto slot = layout.add("x", bytes, alignment);
      ASSERT_TRUE(slot);
      EXPECT_EQ(slot->offset_bytes % alignment, 0);
      EXPECT_GE(slot->offset_bytes, end);
      EXPECT_LT(slot->offset_bytes - end, alignment);
      end = slot->offset_bytes + bytes;
      EXPECT_EQ(layout.total_bytes(), end);
    }
  });
}

TEST(WorkspaceLayout, MoreThan63BitsAreAnErrorAndChangeNothing) {
  WorkspaceLayout layout;
  ASSERT_TRUE(layout.add("most", kMax - 300));
  ASSERT_TRUE(layout.add("rest", 300, 1));
  EXPECT_EQ(layout.total_bytes(), kMax);
  for (std::int64_t alignment : {1, 256}) {
    const auto slot = layout.add("straw", 1, alignment);
    ASSERT_FALSE(slot);
    EXPECT_EQ(slot.error(), Error::invalid_problem("workspace: straw of 1 bytes takes the total past 2^63 bytes"));
  }
  EXPECT_EQ(layout.total_bytes(), kMax);
  EXPECT_TRUE(layout.add("nothing", 0, 1));
  EXPECT_FALSE(WorkspaceLayout(layout).add("huge", kMax));
}

}  // namespace
}  // namespace baracuda
