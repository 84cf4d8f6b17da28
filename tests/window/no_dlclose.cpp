// Under the address sanitizer libraries stay loaded: what a Vulkan driver still holds when it is unloaded could not be
// told from a leak of ours. And it remembers less of each allocation: a driver that compiles shaders makes so many that
// memory would grow by 0.25 GB a second. ASAN_OPTIONS has the last word.
#ifdef __SANITIZE_ADDRESS__
extern "C" int dlclose(void*) {
  return 0;
}
extern "C" const char* __asan_default_options() {
  return "malloc_context_size=1:quarantine_size_mb=4";
}
#endif
