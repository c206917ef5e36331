#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// The text of an OTLP attribute value (AnyValue), built while it is read and never longer than a
// bound. A scalar is its own text; a list or map is JSON. Only for schemas/*.cc.
namespace vigie::schemas::detail {

class AttributeText {
public:
    explicit AttributeText(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    void add_string(std::string_view value);
    void add_bool(bool value) { add_word(value ? "true" : "false"); }
    void add_integer(std::int64_t value);
    void add_double(double value);
    void add_bytes(std::string_view value);  // As base64
    void add_null();                         // "" outside of lists and maps

    void open(char bracket);  // '[' or '{'
    void close();
    void add_key(std::string_view key);

    // What is over the bound is cut.
    std::string take();

private:
    void add_word(std::string_view word);
    void add_quoted(std::string_view value);
    void separate();
    bool is_full() const { return text_.size() > bytes_max_; }

    std::size_t bytes_max_;
    std::string text_;
    std::string open_;  // Closing brackets still to come.
    bool first_ = true;
    bool after_key_ = false;
};

// Brackets that may be open in one value.
inline constexpr int kAttributeDepthMax = 16;

}  // namespace vigie::schemas::detail
