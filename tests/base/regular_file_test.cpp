// Reading a path that the program knows: a regular file is read, anything else gives an error at once.
#include "engine/base/platform/regular_file.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/base/error.h"
#include "engine/base/platform/fd_io.h"

using namespace headroom;
namespace fs = std::filesystem;

namespace {

struct Place {
  std::string folder = (fs::temp_directory_path() / "headroom-place-XXXXXX").string();
  Place() { REQUIRE(mkdtemp(folder.data()) != nullptr); }
  ~Place() { fs::remove_all(folder); }
  std::string path() const { return folder + "/file"; }
};

}  // namespace

TEST_CASE("a file is read up to the size that is allowed") {
  const Place here;
  CHECK_FALSE(regular_file_exists(here.path()));
  CHECK_FALSE(read_regular_file(here.path(), 10));
  const std::string text("a\0b\n", 4);
  std::ofstream(here.path(), std::ios::binary) << text;
  CHECK(regular_file_exists(here.path()));
  CHECK(read_regular_file(here.path(), 4) == text);
  CHECK_THROWS_WITH(read_regular_file(here.path(), 3), here.path() + " has 4 bytes, expected at most 3");
  fs::create_symlink(here.path(), here.folder + "/link");
  CHECK(read_regular_file(here.folder + "/link", 4) == text);
}

TEST_CASE("a file without a size of its own is read to its end, up to what is allowed") {
  CHECK(read_regular_file("/proc/self/stat", 100'000)->size() > 10);
  CHECK_THROWS_WITH(read_regular_file("/proc/self/stat", 5), Catch::Contains("more than 5 bytes"));
}

TEST_CASE("what is no file is named, and never waited for") {
  const Place here;
  std::string kind;
  Descriptor listener;
  SECTION("a named pipe") {
    kind = "a named pipe";
    REQUIRE(mkfifo(here.path().c_str(), 0600) == 0);
  }
  SECTION("a folder") {
    kind = "a folder";
    fs::create_directory(here.path());
  }
  SECTION("a device") {
    kind = "a device";
    fs::create_symlink("/dev/zero", here.path());
  }
  SECTION("a socket") {
    kind = "a socket";
    listener = Descriptor(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, here.path().c_str(), sizeof address.sun_path - 1);
    REQUIRE(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  const std::string sentence = here.path() + " is " + kind + ", expected a file";
  CHECK_THROWS_WITH(regular_file_exists(here.path()), sentence);
  CHECK_THROWS_WITH(read_regular_file(here.path(), 1000), sentence);
}
