// Runs a program and collects its output. See child.h.
#include "tests/vulkan/child.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>

namespace headroom::vulkan::test {

ChildResult run_child(const std::string& variables, const std::string& arguments, std::string program) {
  if (program.empty()) program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command = "env " + variables + " '" + program + "' " + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  ChildResult result;
  std::array<char, 4096> part{};
  while (const size_t n = fread(part.data(), 1, part.size(), pipe)) result.output.append(part.data(), n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  return result;
}

}  // namespace headroom::vulkan::test
