// Under the address sanitizer libraries stay loaded: what a Vulkan driver still holds when it is unloaded could not be
// told from a leak of ours.
#ifdef __SANITIZE_ADDRESS__
extern "C" int dlclose(void*) {
  return 0;
}
#endif
