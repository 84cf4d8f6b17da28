// A Vulkan driver that does harm as soon as the loader calls it; HEADROOM_BAD_DRIVER selects the harm.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

extern "C" __attribute__((visibility("default"))) int vk_icdNegotiateLoaderICDInterfaceVersion(unsigned*) {
  if (const char* mark = std::getenv("HEADROOM_BAD_DRIVER_MARK")) close(open(mark, O_CREAT | O_WRONLY, 0600));
  const char* harm = std::getenv("HEADROOM_BAD_DRIVER");
  if (harm == nullptr) return -3;  // it does not start
  const auto is = [&](const char* word) { return std::strcmp(harm, word) == 0; };
  if (is("crash")) {
    signal(SIGSEGV, SIG_DFL);  // whatever a sanitizer has set
    raise(SIGSEGV);
  }
  if (is("abort")) {
    signal(SIGABRT, SIG_DFL);
    abort();
  }
  if (is("exit")) _exit(3);
  while (is("hang")) pause();
  if (is("noise")) {
    // A careless driver: writes text where the reply is expected, then exits.
    [[maybe_unused]] const auto n = write(STDOUT_FILENO, "device\x1fnoise\n", 13);
    _exit(0);
  }
  return -3;
}

extern "C" __attribute__((visibility("default"))) void* vk_icdGetInstanceProcAddr(void*, const char*) {
  return nullptr;
}
