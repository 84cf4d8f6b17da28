// Under the address sanitizer libraries stay loaded: what a Vulkan driver still holds when it is unloaded could not be
// told from a leak of ours. Part of every program of such a build (cmake/options.cmake): whatever a program links, a
// loader may open a driver in it.
extern "C" int dlclose(void*) {
  return 0;
}
