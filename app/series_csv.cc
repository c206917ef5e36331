#include "app/series_csv.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "core/redact.h"

namespace vigie::app {

namespace {

constexpr std::size_t kLineBytesMax = 4096;
constexpr double kSecondsMax = 2e11;  // About the year 8300.
constexpr std::size_t kShownBytes = 40;

std::string_view trimmed(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
    }
    return text;
}

std::optional<double> number(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || end != text.data() + text.size()) return std::nullopt;
    if (error == std::errc::result_out_of_range) return std::nan("");
    return error == std::errc{} ? std::optional(value) : std::nullopt;
}

Result<EventTime> parse_time(std::string_view text) {
    if (const auto seconds = number(text)) {
        if (std::abs(*seconds) <= kSecondsMax) {
            return event_time_from_micros(std::llround(*seconds * 1e6));
        }
    } else if (text.size() > 10) {
        std::string date(text);
        if (date[10] == ' ') date[10] = 'T';
        const bool offset =
            date.ends_with('Z') || date.find_first_of("+-", 11) != std::string::npos;
        if (const auto at = parse_rfc3339(offset ? date : date + "Z")) return *at;
    }
    return fail(ErrorKind::kInvalid,
                fmt::format("'{}' is not a time: write seconds since 1970 or a date and time",
                            one_line(text, kShownBytes)));
}

bool is_missing(std::string_view text) {
    return text.empty() || text == "nan" || text == "NaN" || text == "NAN" || text == "null";
}

}  // namespace

Result<SeriesRow> parse_series_row(std::string_view line) {
    const std::size_t comma = line.find(',');
    if (comma == std::string_view::npos || line.find(',', comma + 1) != std::string_view::npos) {
        return fail(ErrorKind::kInvalid, "a row has two fields: timestamp,value");
    }
    SeriesRow row;
    row.time_text = trimmed(line.substr(0, comma));
    row.value_text = trimmed(line.substr(comma + 1));
    VIGIE_TRY_ASSIGN(row.at, parse_time(row.time_text));
    if (is_missing(row.value_text)) return row;
    const auto value = number(row.value_text);
    if (!value) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("'{}' is not a number", one_line(row.value_text, kShownBytes)));
    }
    if (std::isfinite(*value)) row.value = value;
    return row;
}

SeriesFile::SeriesFile(std::string path)
    : path_(std::move(path)), file_(path_, std::ios::binary), buffer_(kLineBytesMax) {}

Result<SeriesFile> SeriesFile::open(const std::string& path) {
    SeriesFile file(path);
    if (!file.file_ || file.file_.peek() == std::ifstream::traits_type::eof()) {
        const bool empty = file.file_.is_open() && file.file_.eof() && !file.file_.bad();
        return fail(
            empty ? ErrorKind::kInvalid : ErrorKind::kNotFound,
            path + (empty ? ": is empty; it needs rows 'timestamp,value'" : ": cannot be read"));
    }
    return file;
}

Result<std::optional<SeriesRow>> SeriesFile::next() {
    while (true) {
        file_.getline(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
        const auto taken = static_cast<std::size_t>(file_.gcount());
        if (file_.bad()) return fail(ErrorKind::kUnavailable, path_ + ": cannot be read");
        if (taken == 0) return std::optional<SeriesRow>();
        ++line_;
        if (file_.fail()) {
            return fail(ErrorKind::kInvalid, fmt::format("{}:{}: is longer than {} bytes", path_,
                                                         line_, kLineBytesMax - 1));
        }
        const std::string_view line(buffer_.data(), file_.eof() ? taken : taken - 1);
        const std::string_view text = trimmed(line);
        if (text.empty() || (line_ == 1 && text == "timestamp,value")) continue;
        auto row = parse_series_row(line);
        if (!row) {
            return fail(row.error().kind,
                        fmt::format("{}:{}: {}", path_, line_, row.error().message));
        }
        return std::optional(*std::move(row));
    }
}

}  // namespace vigie::app
