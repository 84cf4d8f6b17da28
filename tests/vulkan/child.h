// This test program, or another, once more in a child process with other variables: what a driver or a layer reads from
// the environment is read once in a process.
#pragma once

#include <string>

namespace headroom::vulkan::test {

struct ChildResult {
  int status = -1;     // exit status; -1: it did not end by itself
  std::string output;  // standard output and standard error
};

/// variables: "A=1 B=2"; arguments: as a shell takes them. Without a program: this one.
ChildResult run_child(const std::string& variables, const std::string& arguments, std::string program = {});

}  // namespace headroom::vulkan::test
