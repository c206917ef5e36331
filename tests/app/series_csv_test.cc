#include "app/series_csv.h"

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

using namespace vigie;
using app::parse_series_row;
using app::SeriesFile;

namespace {

struct TextFile {
    explicit TextFile(const std::string& text)
        : path(std::filesystem::temp_directory_path() /
               ("vigie_series_" + std::to_string(++made) + ".csv")) {
        std::ofstream(path, std::ios::binary) << text;
    }
    ~TextFile() { std::filesystem::remove(path); }

    static inline int made = 0;
    std::filesystem::path path;
};

// The error of reading all of `text`; "" when it can be read.
std::string error_of(const std::string& text) {
    const TextFile file(text);
    auto opened = SeriesFile::open(file.path);
    if (!opened) return opened.error().message;
    while (true) {
        const auto row = opened->next();
        if (!row) return row.error().message;
        if (!*row) return "";
    }
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("series file: times are seconds or dates, in UTC without an offset", "[app]") {
    const EventTime noon = event_time_from_micros(1'400'000'000'000'000);
    for (const std::string text :
         {"1400000000", "1400000000.0", "2014-05-13 16:53:20", "2014-05-13T16:53:20Z",
          "2014-05-13T18:53:20+02:00", "\"2014-05-13 16:53:20\""}) {
        const auto row = parse_series_row(text + ",1.5");
        REQUIRE(row);
        CHECK(row->at == noon);
        CHECK(row->value == 1.5);
    }
    CHECK(parse_series_row("1400000000.25,-3e2\r")->at == noon + std::chrono::milliseconds{250});
}

TEST_CASE("series file: a row without a number is a row all the same", "[app]") {
    for (const std::string text : {"", "nan", "NaN", "null", "inf", "-inf", "1e999"}) {
        const auto row = parse_series_row("7," + text);
        REQUIRE(row);
        CHECK(!row->value);
        CHECK(row->value_text == text);
    }
}

TEST_CASE("series file: what is no row says why, in which file and line", "[app]") {
    CHECK(has(error_of("timestamp,value\n1,2\n3;4\n"), ".csv:3: a row has two fields"));
    CHECK(has(error_of("timestamp,value\n1,2,3\n"), ".csv:2: a row has two fields"));
    CHECK(has(error_of("1,two\n"), ".csv:1: 'two' is not a number"));
    CHECK(has(error_of("yesterday,2\n"), ".csv:1: 'yesterday' is not a time"));
    CHECK(has(error_of("1e300,2\n"), "is not a time"));
    CHECK(has(error_of("2014-13-01 00:00:00,2\n"), "is not a time"));
    CHECK(has(error_of("1," + std::string(5000, '1') + "\n"), ".csv:1: is longer than"));
    CHECK(has(error_of(""), "is empty"));
    CHECK(!SeriesFile::open("/no/such/file.csv"));
}

TEST_CASE("series file: header, empty lines and a last line without its end", "[app]") {
    const TextFile file("timestamp,value\n1,2\n\n3,4");
    auto opened = SeriesFile::open(file.path);
    REQUIRE(opened);
    std::vector<double> values;
    while (true) {
        const auto row = opened->next();
        REQUIRE(row);
        if (!*row) break;
        values.push_back(*(*row)->value);
    }
    CHECK(values == std::vector<double>{2, 4});
}
