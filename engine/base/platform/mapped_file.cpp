// A path ─► the file's bytes, mapped read-only (Linux). The GGUF reader and every weight use it. If a file shrinks
// while it is mapped, touching the lost pages raises SIGBUS. The handler here maps zeros and sets a flag, so the
// process survives and can report what happened.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>

#include "engine/base/error.h"
#include "engine/base/platform/platform.h"

namespace headroom {
namespace {

// One mapping, as the signal handler sees it. Slots are reused and never freed, so the handler can walk the list at any
// time without a lock.
struct MappingSlot {
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};  // 0: the slot is free
  std::atomic<bool> damaged{false};
  MappingSlot* next = nullptr;
};

std::atomic<MappingSlot*> first_slot{nullptr};
std::mutex slots_mutex;  // protects take_slot and free_slot; the handler does not lock it
struct sigaction previous_action {};
uintptr_t system_page_bytes = 4096;

// Runs in the signal handler: only async-signal-safe calls are allowed. It makes the system call directly, because the
// thread sanitizer intercepts mmap and reports a race with another thread that reads the lost page. Two threads can map
// the same page; either mapping has zeros.
bool put_zero_page_at(uintptr_t address) {
  for (MappingSlot* slot = first_slot.load(); slot != nullptr; slot = slot->next) {
    if (address < slot->begin.load() || address >= slot->end.load()) continue;
    slot->damaged.store(true);
    void* page = reinterpret_cast<void*>(address & ~(system_page_bytes - 1));
    return syscall(SYS_mmap, page, system_page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
           reinterpret_cast<long>(page);
  }
  return false;
}

void handle_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  // A signal that another process sent (si_code 0 or less) carries no address.
  const bool ours = info->si_code > 0 && put_zero_page_at(reinterpret_cast<uintptr_t>(info->si_addr));
  errno = saved_errno;
  if (ours) return;
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
  } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(signal);
  } else {
    // After the return the instruction runs again, and now SIGBUS ends the process as it would without this handler.
    struct sigaction system_default {};
    system_default.sa_handler = SIG_DFL;
    sigaction(SIGBUS, &system_default, nullptr);
  }
}

void install_bus_error_handler() {
  static const bool installed = [] {
    system_page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action {};
    action.sa_sigaction = handle_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, &previous_action) == 0;
  }();
  static_cast<void>(installed);
}

MappingSlot* take_slot(uintptr_t begin, uintptr_t end) {
  const std::lock_guard lock(slots_mutex);
  MappingSlot* slot = first_slot.load();
  while (slot != nullptr && slot->end.load() != 0) slot = slot->next;
  const bool is_new = slot == nullptr;
  if (is_new) slot = new MappingSlot;
  slot->damaged.store(false);
  slot->begin.store(begin);
  slot->end.store(end);
  if (is_new) {
    slot->next = first_slot.load();
    first_slot.store(slot);
  }
  return slot;
}

void free_slot(MappingSlot* slot) {
  const std::lock_guard lock(slots_mutex);
  slot->end.store(0);
}

std::string system_reason() {
  return std::strerror(errno);
}

}  // namespace

struct MappedFile::Impl {
  std::string path;
  int descriptor = -1;
  std::byte* begin = nullptr;
  size_t size_bytes = 0;
  MappingSlot* slot = nullptr;

  ~Impl() {
    // Must come before munmap: once the addresses are free, another mapping may register them.
    if (slot != nullptr) free_slot(slot);
    if (begin != nullptr) munmap(begin, size_bytes);
    if (descriptor >= 0) close(descriptor);
  }
};

MappedFile MappedFile::open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  // Without O_NONBLOCK, opening a named pipe would wait for a writer forever.
  impl->descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (impl->descriptor < 0) throw Error(ErrorKind::io, path + ": cannot open the file: " + system_reason());
  struct stat status {};
  if (fstat(impl->descriptor, &status) != 0)
    throw Error(ErrorKind::io, path + ": cannot read the file's size: " + system_reason());
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::io, path + ": is not a regular file");
  impl->size_bytes = static_cast<size_t>(status.st_size);
  if (impl->size_bytes > 0) {
    install_bus_error_handler();
    void* memory = mmap(nullptr, impl->size_bytes, PROT_READ, MAP_PRIVATE, impl->descriptor, 0);
    if (memory == MAP_FAILED) throw Error(ErrorKind::io, path + ": cannot map the file: " + system_reason());
    impl->begin = static_cast<std::byte*>(memory);
    const auto address = reinterpret_cast<uintptr_t>(memory);
    impl->slot = take_slot(address, address + impl->size_bytes);
  }
  return MappedFile(std::move(impl));
}

MappedFile::MappedFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MappedFile::MappedFile(MappedFile&&) noexcept = default;
MappedFile& MappedFile::operator=(MappedFile&&) noexcept = default;
MappedFile::~MappedFile() = default;

std::span<const std::byte> MappedFile::bytes() const {
  return {impl_->begin, impl_->size_bytes};
}

const std::string& MappedFile::path() const {
  return impl_->path;
}

bool MappedFile::damaged() const {
  if (impl_->slot == nullptr) return false;
  if (impl_->slot->damaged.load()) return true;
  // Bytes lost inside the last remaining page raise no signal, so the size is checked too.
  struct stat status {};
  if (fstat(impl_->descriptor, &status) == 0 && static_cast<uint64_t>(status.st_size) < impl_->size_bytes)
    impl_->slot->damaged.store(true);
  return impl_->slot->damaged.load();
}

}  // namespace headroom
