#include "responders/actions/kill_switch.h"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace vigie;
using namespace vigie::actions;

namespace {

struct Folder {
    Folder() {
        std::string pattern = std::string(VIGIE_BINARY_DIR) + "/kill_switch_XXXXXX";
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path); }

    std::string file() const { return path + "/kill"; }
    void write(const std::string& text) const { std::ofstream(file()) << text; }

    std::string path;
};

ErrorKind kind_of(const Status& status) {
    REQUIRE_FALSE(status.has_value());
    return status.error().kind;
}

}  // namespace

TEST_CASE("kill switch: the first start creates it off", "[actions]") {
    const Folder folder;
    const auto created = FileKillSwitch::open(folder.file());
    REQUIRE(created.has_value());
    CHECK((*created)->check_off().has_value());
    CHECK(std::filesystem::file_size(folder.file()) == 4);
}

TEST_CASE("kill switch: a start keeps what it finds", "[actions]") {
    const Folder folder;
    folder.write("on\n");
    const auto found = FileKillSwitch::open(folder.file());
    REQUIRE(found.has_value());
    CHECK(kind_of((*found)->check_off()) == ErrorKind::kRefused);
}

TEST_CASE("kill switch: is read anew each time, and set", "[actions]") {
    const Folder folder;
    const auto created = FileKillSwitch::open(folder.file());
    REQUIRE(created.has_value());
    REQUIRE((*created)->set(true).has_value());
    CHECK(kind_of((*created)->check_off()) == ErrorKind::kRefused);
    folder.write("  off \n");
    CHECK((*created)->check_off().has_value());
    // Nothing is left beside it.
    const std::filesystem::directory_iterator files(folder.path);
    CHECK(std::distance(begin(files), end(files)) == 1);
}

TEST_CASE("kill switch: what is not certainly off counts as on", "[actions]") {
    const Folder folder;
    const auto created = FileKillSwitch::open(folder.file());
    REQUIRE(created.has_value());
    SECTION("missing") {
        std::filesystem::remove(folder.file());
    }
    SECTION("empty") {
        folder.write("");
    }
    SECTION("another word") {
        folder.write("offline");
    }
    SECTION("upper case") {
        folder.write("OFF");
    }
    SECTION("off, and much more") {
        folder.write("off" + std::string(1000, ' ') + "on");
    }
    SECTION("a folder") {
        std::filesystem::remove(folder.file());
        std::filesystem::create_directory(folder.file());
    }
    CHECK(kind_of((*created)->check_off()) == ErrorKind::kUnavailable);
}

TEST_CASE("kill switch: a place that cannot be written is an error at the start", "[actions]") {
    const auto failed = FileKillSwitch::open("/proc/no-such-folder/kill");
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().kind == ErrorKind::kUnavailable);
}

TEST_CASE("kill switch: can be switched on where no new file can be written", "[actions]") {
    const Folder folder;
    const auto created = FileKillSwitch::open(folder.file());
    REQUIRE(created.has_value());
    // What stands where the new file would be: as a full disk, it lets no file be made.
    const auto in_the_way = folder.file() + "." + std::to_string(::getpid()) + ".new";
    REQUIRE(std::filesystem::create_directory(in_the_way));
    REQUIRE((*created)->set(true).has_value());
    CHECK(kind_of((*created)->check_off()) == ErrorKind::kRefused);
    CHECK(kind_of((*created)->set(false)) == ErrorKind::kUnavailable);
    CHECK(kind_of((*created)->check_off()) == ErrorKind::kRefused);
    // Nor may this one be written, but it can be taken away, which is on.
    std::filesystem::remove(folder.file());
    REQUIRE((*created)->set(true).has_value());
    CHECK_FALSE((*created)->check_off().has_value());
}
