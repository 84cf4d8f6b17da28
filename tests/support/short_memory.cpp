// Makes the address sanitizer store less per allocation in programs whose tests compute on a Vulkan device. A driver
// that compiles shaders allocates so often that memory would grow by 0.25 GB per second. ASAN_OPTIONS overrides this.
#ifdef HEADROOM_ADDRESS_SANITIZER
extern "C" const char* __asan_default_options() {
  return "malloc_context_size=1:quarantine_size_mb=4";
}
#endif
