#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/yaml.h"

namespace vigie::app {

// Everything wrong with a file, collected so that a person mends it in one go:
// "vigie.yaml:12:3: agent.confidence_min: must be between 0 and 1".
class Complaints {
public:
    explicit Complaints(std::string file) : file_(std::move(file)) {}

    void add(const YamlNode& where, std::string_view path, std::string_view what);
    void add(std::string_view what);  // About the file as a whole.
    const std::vector<std::string>& all() const { return all_; }

private:
    std::string file_;
    std::vector<std::string> all_;
};

// Reads one map of a YAML file by name and type. A missing key gives the default; a wrong
// value is a complaint and gives the default too; a key that nobody asked for is a complaint
// when the section is destroyed.
class Section {
public:
    // `node` may be nullptr: every key is then missing. Node and complaints must outlive it.
    Section(const YamlNode* node, std::string path, Complaints& complaints);
    ~Section();
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

    bool has(std::string_view key);
    std::string text(std::string_view key, std::string_view fallback = {});
    bool boolean(std::string_view key, bool fallback);
    std::int64_t integer(std::string_view key, std::int64_t fallback, std::int64_t min,
                         std::int64_t max);
    double number(std::string_view key, double fallback, double min, double max);
    std::chrono::milliseconds duration(std::string_view key, std::chrono::milliseconds fallback,
                                       std::chrono::milliseconds min);
    std::chrono::seconds seconds(std::string_view key, std::chrono::seconds fallback);
    std::int64_t bytes(std::string_view key, std::int64_t fallback);  // "64MiB", "1GiB", "512"

    // The value of `key`, or the content of the file that `key`_file names, without its last
    // line break. Both at once is a complaint.
    std::string secret(std::string_view key);

    std::vector<std::string> texts(std::string_view key);
    std::map<std::string, std::string> text_map(std::string_view key);
    // Each value is a list, or one text.
    std::map<std::string, std::vector<std::string>> texts_map(std::string_view key);
    void child(std::string_view key, const std::function<void(Section&)>& read);
    void each(std::string_view key, const std::function<void(Section&)>& read);

    // A complaint about `key`, or about the section when it is "".
    void complain(std::string_view key, std::string_view what);
    // The same for later, when the section is gone but its node and complaints are not.
    using Complain = std::function<void(std::string_view key, std::string_view what)>;
    Complain complain_later() const;

private:
    const YamlNode* take(std::string_view key);
    const YamlNode* take_scalar(std::string_view key);
    std::string path_of(std::string_view key) const;
    static void complain_at(const YamlNode* node, const std::string& path, Complaints& complaints,
                            std::string_view key, std::string_view what);

    const YamlNode* const node_;
    const std::string path_;
    Complaints& complaints_;
    std::set<std::string, std::less<>> asked_;
};

// The whole file as text. kNotFound, kInvalid when larger than `bytes_max`, kUnavailable.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

// Writes beside and renames, so that readers see the old or the new file. kUnavailable.
Status write_file(const std::string& path, std::string_view text);

}  // namespace vigie::app
