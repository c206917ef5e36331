#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace vigie::app {

// Talks to a running Vigie for the command line.
class ApiClient {
public:
    struct Options {
        std::string server = "http://127.0.0.1:9099";
        std::string token;    // Empty: none is sent
        std::string ca_file;  // Empty: the system's
    };
    explicit ApiClient(Options options) : options_(std::move(options)) {}

    // The body of a 2xx answer. kNotFound for 404, kRefused for 401 and 403, kInvalid for other
    // 4xx, kUnavailable for the rest; the message holds the server's reason and what to do.
    Result<std::string> get(std::string_view path) const;
    Result<std::string> post(std::string_view path, std::string_view json) const;

private:
    Result<std::string> call(std::string method, std::string_view path,
                             std::string_view body) const;

    const Options options_;
};

}  // namespace vigie::app
