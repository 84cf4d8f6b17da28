// Runs this test program, or another, in a child process with other variables: a driver or a layer reads the
// environment only once per process.
#pragma once

#include <string>

namespace headroom::vulkan::test {

struct ChildResult {
  int status = -1;     // exit status; -1: it was killed
  std::string output;  // standard output and standard error
};

/// variables: "A=1 B=2"; arguments: in shell syntax. The default program is this one.
ChildResult run_child(const std::string& variables, const std::string& arguments, std::string program = {});

}  // namespace headroom::vulkan::test
