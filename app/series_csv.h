#pragma once

#include <cstddef>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"

namespace vigie::app {

// One row of a file of samples, "timestamp,value". The time is seconds since 1970, with or
// without decimals, or an RFC 3339 date and time; with a blank for its T and without an offset
// it is taken as UTC.
struct SeriesRow {
    std::string time_text;  // As in the file.
    std::string value_text;
    EventTime at;
    std::optional<double> value;  // Nothing for an empty value, "nan", "null" and infinities.
};

// kInvalid says which part of the row is wrong.
Result<SeriesRow> parse_series_row(std::string_view line);

// Reads such a file from its beginning. Its first line may be the header "timestamp,value";
// empty lines are skipped.
class SeriesFile {
public:
    // kNotFound when it cannot be opened.
    static Result<SeriesFile> open(const std::string& path);

    // The next row; nothing at the end. kInvalid, with file and line, for what is no row;
    // kUnavailable when reading fails.
    Result<std::optional<SeriesRow>> next();

private:
    explicit SeriesFile(std::string path);

    std::string path_;
    std::ifstream file_;
    std::vector<char> buffer_;
    std::size_t line_ = 0;
};

}  // namespace vigie::app
