#include "console/page.h"

#include <string>
#include <string_view>

#include "console/guard.h"
#include "core/result.h"

namespace vigie::console {

namespace detail {
std::string_view embedded(std::string_view name);  // Generated from console/page/.
}  // namespace detail

void add_page(http::Router& router) {
    const auto add = [&](const char* path, std::string_view file, const char* type) {
        VIGIE_ASSERT(!detail::embedded(file).empty());
        router.add("GET", path, [file, type](const http::Request&, const http::Respond& respond) {
            http::Response response{
                200, {{"content-type", type}}, std::string(detail::embedded(file))};
            add_security_headers(response);
            respond(std::move(response));
        });
    };
    add("/", "index.html", "text/html; charset=utf-8");
    add("/style.css", "style.css", "text/css; charset=utf-8");
    add("/app.js", "app.js", "text/javascript; charset=utf-8");
}

}  // namespace vigie::console
