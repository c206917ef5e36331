#include "app/line_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "core/utf8.h"

namespace vigie::app {

namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

}  // namespace

LineFile::LineFile(std::FILE* file, std::string path, std::size_t line_bytes_max)
    : file_(file), path_(std::move(path)), line_bytes_max_(line_bytes_max), buffer_(kBufferBytes) {}

Result<LineFile> LineFile::open(const std::string& path, std::size_t line_bytes_max) {
    if (path == "-") return LineFile(stdin, "standard input", line_bytes_max);
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
        return fail(ErrorKind::kInvalid, fmt::format("'{}' is a folder, not a file", path));
    }
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
        return fail(ErrorKind::kNotFound, fmt::format("cannot read '{}': {}", path,
                                                      std::generic_category().message(errno)));
    }
    return LineFile(file, path, line_bytes_max);
}

Result<std::optional<std::string_view>> LineFile::next() {
    line_.clear();
    bool any = false;
    bool cut = false;
    for (;;) {
        if (at_ == end_) {
            at_ = 0;
            end_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
            if (end_ == 0 && std::ferror(file_.get()) != 0) {
                return fail(ErrorKind::kUnavailable,
                            fmt::format("cannot read '{}' behind line {}", path_, lines_));
            }
            if (end_ == 0) break;
        }
        any = true;
        const char* begin = buffer_.data() + at_;
        const auto* newline = static_cast<const char*>(std::memchr(begin, '\n', end_ - at_));
        const std::size_t bytes =
            newline == nullptr ? end_ - at_ : static_cast<std::size_t>(newline - begin);
        const std::size_t taken = std::min(bytes, line_bytes_max_ - line_.size());
        line_.append(begin, taken);
        cut = cut || taken < bytes;
        at_ += bytes + (newline == nullptr ? 0U : 1U);
        if (newline != nullptr) break;
    }
    if (!any) return std::nullopt;
    if (!cut && line_.ends_with('\r')) line_.pop_back();
    ++lines_;
    cut_ += cut ? 1U : 0U;
    return std::string_view(line_);
}

std::string csv_field(std::string_view text) {
    std::string out;
    bool quoted = false;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t bytes = utf8_character_size(text, at);
        if (bytes == 0) {
            out += "\xef\xbf\xbd";
            ++at;
            continue;
        }
        const char c = text[at];
        quoted = quoted || c == ',' || c == '"' || c == '\n' || c == '\r';
        if (c == '"') out += '"';
        out += text.substr(at, bytes);
        at += bytes;
    }
    return quoted ? '"' + out + '"' : out;
}

}  // namespace vigie::app
