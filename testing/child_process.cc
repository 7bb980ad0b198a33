#include "testing/child_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <thread>

namespace baracuda::testing {
namespace {

std::map<std::string, ChildMain>& children() {
  static auto& children = *new std::map<std::string, ChildMain>;
  return children;
}

std::vector<char*> null_terminated(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

RegisterChild::RegisterChild(std::string name, ChildMain main) { children().emplace(std::move(name), main); }

Child::Child(const std::string& name, const ChildArguments& arguments, const std::vector<std::string>& environment) {
  std::vector<std::string> words = {"baracuda", std::string(kChildFlag), name};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment;  // the first of a name counts
  for (char** each = environ; *each; ++each) variables.emplace_back(*each);
  if (posix_spawn(&pid_, "/proc/self/exe", nullptr, nullptr, null_terminated(words).data(),
                  null_terminated(variables).data()) != 0)
    pid_ = 0;
}

int Child::wait(std::chrono::seconds limit) {
  if (pid_ == 0) return -SIGKILL;
  const auto end = std::chrono::steady_clock::now() + limit;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= end) ::kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void Child::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  wait();
}

int run_child(std::vector<std::string> name_and_arguments) {
  const std::string name = name_and_arguments.empty() ? "" : name_and_arguments.front();
  const auto child = children().find(name);
  if (child == children().end()) {
    std::fprintf(stderr, "error: no child is called '%s'\n", name.c_str());
    return 2;
  }
  return child->second({name_and_arguments.begin() + 1, name_and_arguments.end()});
}

}  // namespace baracuda::testing
