#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace vigie::http {

// Takes a stream of bytes apart into messages as RFC 6587 frames them: "LENGTH BLANK MESSAGE" when
// it begins with a digit, else up to the next line end. A message longer than `frame_bytes_max` is
// cut, and the rest of it is skipped. Not thread-safe. https://www.rfc-editor.org/rfc/rfc6587
class FrameSplitter {
public:
    // `frame_bytes_max` must be at least 1.
    explicit FrameSplitter(std::size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

    void add(std::string_view bytes) { buffer_ += bytes; }

    // The next whole message, never empty; nullopt when more bytes are needed. `cut` counts those
    // that were too long.
    std::optional<std::string> next();
    // What is left at the end of the stream, without its line end.
    std::optional<std::string> rest();

    bool has_part() const { return !buffer_.empty(); }
    std::size_t cut() const { return cut_; }

private:
    std::optional<std::string> take(std::size_t from, std::size_t size, std::size_t end);

    const std::size_t frame_bytes_max_;
    std::string buffer_;
    std::size_t skip_bytes_ = 0;  // Of a counted message that was cut
    bool skip_to_line_end_ = false;
    std::size_t cut_ = 0;
};

}  // namespace vigie::http
