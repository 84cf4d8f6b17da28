// What this process may use of the machine (Linux): cores, memory, folders, and anonymous mappings.
// Limits of control groups are respected: in a container a process gets less than the machine has.
#include <malloc.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <set>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

constexpr int64_t no_limit = std::numeric_limits<int64_t>::max();

// Returns nothing if the file is missing or says "max".
std::optional<int64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// Parses "name: 123 kB" in /proc/meminfo and "name 123" in a control group's memory.stat.
std::optional<int64_t> read_field(const std::string& path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.size() <= name.size() || line.compare(0, name.size(), name) != 0) continue;
    if (line[name.size()] != ':' && line[name.size()] != ' ') continue;
    return std::strtoll(line.c_str() + name.size() + 1, nullptr, 10);
  }
  return std::nullopt;
}

// Folders of this process's control groups for a controller, innermost first. Each of them can set a limit. In a
// container the path in /proc may be the host's; then only the root folder exists, and it is the container's own.
std::vector<std::string> control_group_folders(const std::string& controller) {
  std::vector<std::string> folders;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first_colon = line.find(':');
    const size_t second_colon = line.find(':', first_colon + 1);
    if (first_colon == std::string::npos || second_colon == std::string::npos) continue;
    std::string controllers = ",";  // ",cpu,cpuacct,": every name has a comma on both sides
    controllers.append(line, first_colon + 1, second_colon - first_colon - 1).append(",");
    const bool is_version_2 = controllers == ",,";
    std::string wanted = ",";
    wanted.append(controller).append(",");
    if (!is_version_2 && controllers.find(wanted) == std::string::npos) continue;
    const std::string root = is_version_2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller;
    std::string path = line.substr(second_colon + 1);
    while (path.size() > 1) {
      folders.push_back(root + path);
      path.resize(path.rfind('/'));
    }
    folders.push_back(root);
  }
  return folders;
}

// Bytes that the control groups leave to the process.
int64_t control_group_free_bytes() {
  int64_t free_bytes = no_limit;
  for (const std::string& folder : control_group_folders("memory")) {
    std::optional<int64_t> limit = read_number(folder + "/memory.max");
    std::optional<int64_t> used = read_number(folder + "/memory.current");
    if (!limit) limit = read_number(folder + "/memory.limit_in_bytes");
    if (!used) used = read_number(folder + "/memory.usage_in_bytes");
    if (!limit || !used) continue;
    // Inactive file pages count as used, but the kernel reclaims them on demand.
    const int64_t reclaimable = read_field(folder + "/memory.stat", "inactive_file").value_or(0);
    free_bytes = std::min(free_bytes, std::max<int64_t>(0, *limit - *used + reclaimable));
  }
  return free_bytes;
}

// Whole CPUs that the control groups' time quota allows; the maximum of int if there is no quota.
int control_group_cpus() {
  int64_t cpus = std::numeric_limits<int>::max();
  const auto limit = [&](int64_t quota, int64_t period) {
    if (quota > 0 && period > 0) cpus = std::min(cpus, (quota + period - 1) / period);
  };
  for (const std::string& folder : control_group_folders("cpu")) {
    std::ifstream version_2(folder + "/cpu.max");
    int64_t quota = 0, period = 0;
    if (version_2 >> quota >> period) limit(quota, period);
    limit(read_number(folder + "/cpu.cfs_quota_us").value_or(0),
          read_number(folder + "/cpu.cfs_period_us").value_or(0));
  }
  return static_cast<int>(cpus);
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  for (int n_cpus = 1024; n_cpus <= 1 << 20; n_cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(n_cpus);
    const size_t set_bytes = CPU_ALLOC_SIZE(n_cpus);
    const bool fits = sched_getaffinity(0, set_bytes, set) == 0;
    for (int cpu = 0; fits && cpu < n_cpus; ++cpu)
      if (CPU_ISSET_S(cpu, set_bytes, set)) cpus.push_back(cpu);
    CPU_FREE(set);
    if (fits || errno != EINVAL) break;
  }
  return cpus;
}

int64_t physical_memory_bytes() {
  const std::optional<int64_t> kib = read_field("/proc/meminfo", "MemTotal");
  return kib ? *kib * 1024 : static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

}  // namespace

int physical_cores() {
  const std::vector<int> cpus = allowed_cpus();
  // Hardware threads of one core have the same package and core numbers.
  std::set<std::pair<int64_t, int64_t>> cores;
  for (const int cpu : cpus) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::optional<int64_t> core = read_number(folder + "core_id");
    const std::optional<int64_t> package = read_number(folder + "physical_package_id");
    // If the topology is hidden, each CPU counts as a separate core.
    cores.insert(core ? std::pair(package.value_or(0), *core) : std::pair<int64_t, int64_t>(-2, cpu));
  }
  return std::max(1, std::min(static_cast<int>(cores.size()), control_group_cpus()));
}

int64_t available_memory_bytes() {
  const std::optional<int64_t> kib = read_field("/proc/meminfo", "MemAvailable");
  const int64_t machine_bytes = kib ? *kib * 1024 : physical_memory_bytes();
  return std::min(machine_bytes, control_group_free_bytes());
}

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all_pages = 0, resident_pages = 0;
  file >> all_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

std::string home_folder() {
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return home;
  std::vector<char> buffer(size_t{64} << 10);
  passwd entry{};
  passwd* found = nullptr;
  getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr && found->pw_dir != nullptr ? found->pw_dir : "/";
}

namespace {

std::string xdg_folder(const char* variable, const char* below_home) {
  // The XDG rules require that a relative path is ignored.
  const char* base = std::getenv(variable);
  return (base != nullptr && base[0] == '/' ? std::string(base) : home_folder() + below_home) + "/headroom";
}

}  // namespace

std::string cache_folder() {
  return xdg_folder("XDG_CACHE_HOME", "/.cache");
}

std::string config_folder() {
  return xdg_folder("XDG_CONFIG_HOME", "/.config");
}

std::string data_folder() {
  return xdg_folder("XDG_DATA_HOME", "/.local/share");
}

std::byte* map_memory(size_t bytes) {
  assert(bytes > 0);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    throw Error(ErrorKind::out_of_memory,
                "the system refused " + std::to_string(bytes) + " bytes of memory: " + std::strerror(errno));
  return static_cast<std::byte*>(memory);
}

void unmap_memory(std::byte* memory, size_t bytes) {
  [[maybe_unused]] const int result = munmap(memory, bytes);
  assert(result == 0);
}

void return_large_blocks_to_system() {
#ifdef __GLIBC__
  // Setting the threshold also stops glibc from raising it after the first large free.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

}  // namespace headroom
