// Under the address sanitizer programs whose tests compute on a Vulkan device remember less of each allocation: a
// driver that compiles shaders makes so many that memory would grow by 0.25 GB a second. ASAN_OPTIONS has the last
// word.
#ifdef HEADROOM_ADDRESS_SANITIZER
extern "C" const char* __asan_default_options() {
  return "malloc_context_size=1:quarantine_size_mb=4";
}
#endif
