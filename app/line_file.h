#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace vigie::app {

// A file, or standard input, line by line, of whatever size. A line is cut at `line_bytes_max`;
// how many were is counted. A carriage return at the end of a line is no part of it.
class LineFile {
public:
    // "-" is standard input. kNotFound, or kInvalid for a folder.
    static Result<LineFile> open(const std::string& path, std::size_t line_bytes_max);

    // Absence: the end. The line is good until the next call. kUnavailable when reading fails.
    Result<std::optional<std::string_view>> next();

    std::uint64_t lines() const { return lines_; }
    std::uint64_t cut() const { return cut_; }

private:
    struct Close {
        void operator()(std::FILE* file) const {
            if (file != stdin) std::fclose(file);
        }
    };

    LineFile(std::FILE* file, std::string path, std::size_t line_bytes_max);

    std::unique_ptr<std::FILE, Close> file_;
    std::string path_;
    std::size_t line_bytes_max_;
    std::vector<char> buffer_;
    std::size_t at_ = 0;
    std::size_t end_ = 0;
    std::string line_;
    std::uint64_t lines_ = 0;
    std::uint64_t cut_ = 0;
};

// As one field of a CSV file (RFC 4180): quoted when it has to be, not UTF-8 replaced by U+FFFD.
std::string csv_field(std::string_view text);

}  // namespace vigie::app
