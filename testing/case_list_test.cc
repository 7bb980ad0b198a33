#include "testing/case_list.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

namespace baracuda::testing {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> all;
  for (const ListedCase& each : parse_case_list(text, "list")) all.push_back(each.place + " " + each.text);
  return all;
}

TEST(CaseList, ACaseALine) {
  EXPECT_EQ(words("op a=1\n\n  # a comment\n\top b=2 \t\r\nop c=3 # why\n   \nop d=4"),
            (std::vector<std::string>{"list:1 op a=1", "list:4 op b=2", "list:5 op c=3", "list:7 op d=4"}));
  EXPECT_EQ(words("op"), std::vector<std::string>{"list:1 op"});
  EXPECT_TRUE(words("").empty());
  EXPECT_TRUE(words("\n#\n \n").empty());
}

TEST(CaseList, Files) {
  const std::string path = ::testing::TempDir() + "case_list_test-" + std::to_string(getpid()) + ".txt";
  EXPECT_EQ(read_case_list(path).error().kind, ErrorKind::Io);
  EXPECT_NE(read_case_list(path).error().message.find(path), std::string::npos);
  const auto write = [&](const std::string& text) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  };
  write("# nothing\n");
  EXPECT_EQ(read_case_list(path).error().kind, ErrorKind::InvalidProblem);
  const std::string longer = "op field=" + std::string(10000, 'x');  // than what is read at once
  write("op a=1\n" + longer);
  const auto cases = read_case_list(path);
  ASSERT_TRUE(cases);
  ASSERT_EQ(cases->size(), 2u);
  EXPECT_EQ((*cases)[1].text, longer);
  EXPECT_EQ((*cases)[1].place, path + ":2");
  std::remove(path.c_str());
}

TEST(CaseList, AFolderIsNoList) { EXPECT_EQ(read_case_list(::testing::TempDir()).error().kind, ErrorKind::Io); }

}  // namespace
}  // namespace baracuda::testing
