#include "streams/bulk_files.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "tests/support/temp_folder.h"

namespace vigie::streams {

namespace {

constexpr std::string_view kOwner = "detect-metrics/vigie.metrics/0";

std::size_t files_in(const std::string& folder) {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

// Both ways of writing give the same files.
struct Fixture {
    TempFolder temp;
    std::string folder = temp.path() + "/bulk";
    BulkFiles files{folder, true};
};

}  // namespace

TEST_CASE("bulk files: what was saved is read again, by another one too", "[streams]") {
    Fixture f;
    const std::string bytes("\0binary\n\xff", 9);
    const auto name = f.files.save(kOwner, bytes);
    REQUIRE(name);
    CHECK(*f.files.load(kOwner, *name) == bytes);
    CHECK(*BulkFiles(f.folder, false).load(kOwner, *name) == bytes);
    const auto empty = f.files.save("other/in/3", "");
    REQUIRE(empty);
    CHECK(f.files.load("other/in/3", *empty)->empty());
}

TEST_CASE("bulk files: any length comes back, around blocks and beyond several", "[streams]") {
    Fixture f;
    constexpr std::size_t kBlock = std::size_t{1} << 20U;
    for (const std::size_t size : {std::size_t{4075}, std::size_t{4076}, std::size_t{4077},
                                   kBlock - 21, kBlock - 20, kBlock, 3 * kBlock + 1}) {
        std::string bytes(size, '\0');
        for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 >> 7U);
        for (const bool sync : {false, true}) {
            BulkFiles files(f.folder, sync);
            const auto name = files.save(kOwner, bytes);
            REQUIRE(name);
            CHECK((*files.load(kOwner, *name) == bytes));
            CHECK(std::filesystem::file_size(f.folder + "/" + *name) == size + 20);
        }
    }
}

TEST_CASE("bulk files: a file that cannot be read says nothing of what it holds", "[streams]") {
    Fixture f;
    const auto name = *f.files.save(kOwner, "bytes");
    const std::string path = f.folder + "/" + name;
    std::filesystem::remove(path);
    CHECK(f.files.load(kOwner, name).error().kind == ErrorKind::kInvalid);
    std::filesystem::create_symlink(path, path);  // A loop.
    const auto loaded = f.files.load(kOwner, name);
    REQUIRE_FALSE(loaded.has_value());
    CHECK(loaded.error().kind == ErrorKind::kUnavailable);
    CHECK(loaded.error().message.find(path) != std::string::npos);
}

TEST_CASE("bulk files: another folder's file of the same number is not taken for this one",
          "[streams]") {
    Fixture here;
    Fixture there;
    const auto ours = *here.files.save(kOwner, "ours");
    const auto theirs = *there.files.save(kOwner, "others");
    CHECK(here.files.load(kOwner, theirs).error().kind == ErrorKind::kInvalid);
    // Also when a folder has a file of that very name, with bytes that are whole.
    std::filesystem::rename(here.folder + "/" + ours, here.folder + "/" + theirs);
    const auto loaded = here.files.load(kOwner, theirs);
    REQUIRE_FALSE(loaded.has_value());
    CHECK(loaded.error().kind == ErrorKind::kInvalid);
    CHECK(loaded.error().message.find("other bytes") != std::string::npos);
}

TEST_CASE("bulk files: a file of a version that marked none is still read", "[streams]") {
    Fixture f;
    const auto name = *f.files.save(kOwner, "bytes");
    const std::string old = name.substr(0, name.rfind('-', name.rfind('-') - 1));
    std::filesystem::rename(f.folder + "/" + name, f.folder + "/" + old);
    CHECK(*f.files.load(kOwner, old) == "bytes");
    CHECK(f.files.newest(kOwner) == old);
}

TEST_CASE("bulk files: an older one stays until the newer one counts", "[streams]") {
    Fixture f;
    const auto first = *f.files.save(kOwner, "1");
    const auto second = *f.files.save(kOwner, "2");
    const auto third = *f.files.save(kOwner, "3");
    const auto stranger = *f.files.save("agent/vigie.signals/0", "s");
    CHECK(*f.files.load(kOwner, first) == "1");
    f.files.keep(kOwner, second);
    CHECK_FALSE(f.files.load(kOwner, first));
    CHECK(*f.files.load(kOwner, second) == "2");
    CHECK_FALSE(f.files.load(kOwner, third));
    CHECK(*f.files.load("agent/vigie.signals/0", stranger) == "s");
    CHECK(files_in(f.folder) == 2);
    // A name is not used again for other bytes while the old file may still be meant.
    CHECK(*f.files.save(kOwner, "4") != second);
}

TEST_CASE("bulk files: what a crash left is not read and goes", "[streams]") {
    Fixture f;
    const auto first = *f.files.save(kOwner, "1");
    std::ofstream(f.folder + "/" + first.substr(0, first.rfind('.')) + ".unfinished") << "VGB";
    CHECK(files_in(f.folder) == 2);
    f.files.keep(kOwner, first);
    CHECK(files_in(f.folder) == 1);
}

TEST_CASE("bulk files: damaged, cut, missing or foreign files are of no use", "[streams]") {
    Fixture f;
    const auto name = *f.files.save(kOwner, "some bytes of a detector");
    const std::string path = f.folder + "/" + name;
    std::ifstream in(path, std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto with = [&](const std::string& content) {
        std::ofstream(path, std::ios::binary) << content;
        return f.files.load(kOwner, name);
    };
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
        CHECK(with(whole.substr(0, cut)).error().kind == ErrorKind::kInvalid);
    }
    for (std::size_t i = 0; i < whole.size(); ++i) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        CHECK(with(damaged).error().kind == ErrorKind::kInvalid);
    }
    CHECK(with(whole + "x").error().kind == ErrorKind::kInvalid);
    CHECK(with(whole));
    CHECK(f.files.load("agent/vigie.signals/0", name).error().kind == ErrorKind::kInvalid);
    CHECK(f.files.load(kOwner, name + "/../" + name).error().kind == ErrorKind::kInvalid);
    CHECK(f.files.load(kOwner, name + "9").error().kind == ErrorKind::kInvalid);
}

TEST_CASE("bulk files: a folder that cannot be written is said so", "[streams]") {
    TempFolder temp;
    std::ofstream(temp.path() + "/bulk") << "a file";
    BulkFiles files(temp.path() + "/bulk", true);
    const auto saved = files.save(kOwner, "x");
    REQUIRE_FALSE(saved);
    CHECK(saved.error().kind == ErrorKind::kUnavailable);
}

}  // namespace vigie::streams
