#include "responders/actions/kill_switch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

namespace vigie::actions {

namespace {

constexpr std::size_t kContentBytesMax = 64;

std::string reason(std::string_view doing, const std::string& path) {
    return fmt::format("{} kill switch '{}': {}", doing, path,
                       std::error_code(errno, std::generic_category()).message());
}

// Writes `text` to a new file beside `path` and moves it over it.
Status replace_file(const std::string& path, std::string_view text) {
    const auto fresh = fmt::format("{}.{}.new", path, ::getpid());
    const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return fail(ErrorKind::kUnavailable, reason("create", fresh));
    const bool written =
        ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fsync(file) == 0;
    ::close(file);
    if (!written || ::rename(fresh.c_str(), path.c_str()) != 0) {
        auto message = reason("write", path);
        ::unlink(fresh.c_str());
        return fail(ErrorKind::kUnavailable, std::move(message));
    }
    const auto slash = path.rfind('/');
    const auto folder = slash == std::string::npos ? std::string(".") : path.substr(0, slash + 1);
    const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        ::fsync(directory);
        ::close(directory);
    }
    return {};
}

// Needs no room on a disk that is full: writes into the file that is there, else takes it away,
// which means on as well.
Status force_on(const std::string& path) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        constexpr std::string_view kOn = "on\n\n";  // As long as "off\n"
        const bool written =
            ::pwrite(file, kOn.data(), kOn.size(), 0) == static_cast<ssize_t>(kOn.size()) &&
            ::ftruncate(file, static_cast<off_t>(kOn.size())) == 0;
        ::fdatasync(file);
        ::close(file);
        if (written) return {};
    }
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return fail(ErrorKind::kUnavailable, reason("force", path));
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const auto begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

}  // namespace

Result<std::unique_ptr<FileKillSwitch>> FileKillSwitch::open(std::string path) {
    std::unique_ptr<FileKillSwitch> result(new FileKillSwitch(std::move(path)));
    if (::access(result->path_.c_str(), F_OK) != 0 && errno == ENOENT) {
        VIGIE_TRY(result->set(false));
    }
    return result;
}

Status FileKillSwitch::check_off() const {
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return fail(ErrorKind::kUnavailable, reason("read", path_));
    std::array<char, kContentBytesMax> buffer{};
    const auto size = ::read(file, buffer.data(), buffer.size());
    if (size < 0) {
        auto message = reason("read", path_);
        ::close(file);
        return fail(ErrorKind::kUnavailable, std::move(message));
    }
    ::close(file);
    // A full buffer may be the beginning of anything.
    const bool whole = static_cast<std::size_t>(size) < buffer.size();
    const auto content = whole ? trim({buffer.data(), static_cast<std::size_t>(size)}) : "";
    if (content == "off") return {};
    if (content == "on") return fail(ErrorKind::kRefused, "the kill switch is on");
    return fail(ErrorKind::kUnavailable,
                fmt::format("kill switch '{}' holds neither \"on\" nor \"off\"", path_));
}

Status FileKillSwitch::set(bool on) {
    return set_kill_switch(path_, on);
}

Status set_kill_switch(const std::string& path, bool on) {
    Status done = replace_file(path, on ? "on\n" : "off\n");
    return done || !on ? done : force_on(path);
}

}  // namespace vigie::actions
