// Modes of private files and folders, whatever the umask is.
#include "engine/base/platform/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/base/error.h"

using namespace headroom;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

int mode_of(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? static_cast<int>(status.st_mode & 07777) : -1;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Folder {
  std::string path = (fs::temp_directory_path() / "headroom-private-XXXXXX").string();
  mode_t old_umask = umask(0);

  Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~Folder() {
    umask(old_umask);
    fs::remove_all(path);
  }
};

}  // namespace

TEST_CASE("folders that are made are their owner's, those that were there stay as they are") {
  const Folder folder;
  chmod(folder.path.c_str(), 0755);
  const std::string deep = folder.path + "/a/b//c";
  make_private_folders(deep);
  for (const char* part : {"/a", "/a/b", "/a/b/c"}) CHECK(mode_of(folder.path + part) == 0700);
  CHECK(mode_of(folder.path) == 0755);
  make_private_folders(deep + "/");
  make_private_folders("");
  make_private_folders("/");

  chmod((folder.path + "/a").c_str(), 0755);
  make_private_folders(folder.path + "/a");
  CHECK(mode_of(folder.path + "/a") == 0755);
  own_private_folder(folder.path + "/a");
  CHECK(mode_of(folder.path + "/a") == 0700);
  CHECK(mode_of(folder.path) == 0755);

  std::ofstream(folder.path + "/file") << "in the way";
  CHECK_THROWS_WITH(make_private_folders(folder.path + "/file/below"), Contains("/file cannot be created"));
}

TEST_CASE("files that are made are their owner's, those that were there keep their mode") {
  const Folder folder;
  const std::string path = folder.path + "/file";
  { const Descriptor file = create_new_private_file(path); }
  CHECK(mode_of(path) == 0600);
  CHECK_THROWS_WITH(create_new_private_file(path), Contains("/file could not be created: File exists"));

  chmod(path.c_str(), 0644);
  ensure_private_file(path);
  CHECK(mode_of(path) == 0644);
  ensure_private_file(path + "2");
  CHECK(mode_of(path + "2") == 0600);
  CHECK_THROWS_WITH(ensure_private_file(folder.path), Contains("cannot write"));

  const Descriptor opened(open(path.c_str(), O_RDONLY));
  close_to_others(opened.get());
  CHECK(mode_of(path) == 0600);
}

TEST_CASE("a text takes the place of a file whole, through no link that somebody left") {
  const Folder folder;
  const std::string path = folder.path + "/settings";
  write_private_file(path, "one");
  CHECK(content_of(path) == "one");
  CHECK(mode_of(path) == 0600);
  std::ofstream(folder.path + "/victim") << "safe";
  fs::create_symlink(folder.path + "/victim", path + ".new");
  chmod(path.c_str(), 0644);
  write_private_file(path, "two");
  CHECK(content_of(path) == "two");
  CHECK(mode_of(path) == 0600);
  CHECK(content_of(folder.path + "/victim") == "safe");
  CHECK(!fs::exists(path + ".new"));
}
