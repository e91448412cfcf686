// SPDX-License-Identifier: Apache-2.0
#include "fetch/page.hpp"

#include <fmt/format.h>
#include <gumbo.h>

#include <algorithm>
#include <utility>

#include "cli/text.hpp"
#include "fetch/css.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::fetch {
namespace {

using proto::iequals;

Use use_of(const CssUrl& url) noexcept {
  switch (url.of) {
    case CssUrl::Of::import:
      return Use::style;
    case CssUrl::Of::font:
      return Use::font;
    case CssUrl::Of::image:
      break;
  }
  return Use::image;
}

std::vector<SpotUrl> urls_of_css(std::string_view css, std::size_t most) {
  std::vector<SpotUrl> urls;
  for (CssUrl& each : css_urls(css, most)) {
    urls.push_back(
        {.begin = each.begin, .end = each.end, .url = std::move(each.url), .use = use_of(each)});
  }
  return urls;
}

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/// HTML, section 2.3.6 "valid URL potentially surrounded by spaces".
std::vector<SpotUrl> one_url(std::string_view text, Use use) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (begin < end && is_space(text[begin])) ++begin;
  while (end > begin && is_space(text[end - 1])) --end;
  if (begin == end) return {};
  return {{.begin = begin,
           .end = end,
           .url = std::string(text.substr(begin, end - begin)),
           .use = use}};
}

/// HTML, "parsing a srcset attribute": a URL, then its descriptors up to a comma.
std::vector<SpotUrl> urls_of_srcset(std::string_view text, std::size_t most) {
  std::vector<SpotUrl> urls;
  std::size_t at = 0;
  while (at < text.size() && urls.size() < most) {
    while (at < text.size() && (is_space(text[at]) || text[at] == ',')) ++at;
    const std::size_t begin = at;
    while (at < text.size() && !is_space(text[at])) ++at;
    std::size_t end = at;
    while (end > begin && text[end - 1] == ',') --end;
    if (end > begin) {
      urls.push_back({.begin = begin,
                      .end = end,
                      .url = std::string(text.substr(begin, end - begin)),
                      .use = Use::image});
    }
    if (end < at) continue;  // It ended with a comma: no descriptors.
    for (int depth = 0; at < text.size() && (depth > 0 || text[at] != ','); ++at) {
      if (text[at] == '(') ++depth;
      if (text[at] == ')' && depth > 0) --depth;
    }
  }
  return urls;
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t begin = std::min(list.find_first_not_of(" \t\r\n\f"), list.size());
    list.remove_prefix(begin);
    const std::size_t end = std::min(list.find_first_of(" \t\r\n\f"), list.size());
    if (iequals(list.substr(0, end), word)) return true;
    list.remove_prefix(end);
  }
  return false;
}

/// What <link> loads (HTML, section 4.6.7); nothing when it only points somewhere.
std::optional<Use> use_of_link(std::string_view rel, std::string_view as) {
  if (has_word(rel, "stylesheet")) return Use::style;
  constexpr const char* k_icons[] = {"icon", "apple-touch-icon", "apple-touch-icon-precomposed",
                                     "mask-icon"};
  for (const char* icon : k_icons) {
    if (has_word(rel, icon)) return Use::image;
  }
  if (has_word(rel, "modulepreload")) return Use::script;
  if (has_word(rel, "manifest")) return Use::other;
  if (!has_word(rel, "preload")) return std::nullopt;
  if (iequals(as, "style")) return Use::style;
  if (iequals(as, "script")) return Use::script;
  if (iequals(as, "font")) return Use::font;
  if (iequals(as, "image")) return Use::image;
  return Use::other;
}

Error too_many_urls(const ParseBounds& bounds) {
  return {Errc::too_large, "parse", fmt::format("it names more than {} URLs", bounds.urls_max)};
}

class Collector {
 public:
  Collector(std::string_view html, const ParseBounds& bounds)
      : html_(html), bounds_(bounds), urls_left_(bounds.urls_max + 1) {}

  Result<Page> run() {
    auto tree = HtmlTree::parse(html_, bounds_);
    if (!tree) return tree.error();
    std::vector<const GumboNode*> todo{tree->root()};
    while (!todo.empty() && urls_left_ > 0) {
      const GumboNode* node = todo.back();
      todo.pop_back();
      if (node->type != GUMBO_NODE_ELEMENT && node->type != GUMBO_NODE_TEMPLATE) continue;
      if (!is_copy(*node)) element(node->v.element);
      const GumboVector& children = node->v.element.children;
      for (unsigned i = children.length; i > 0; --i) {
        todo.push_back(static_cast<const GumboNode*>(children.data[i - 1]));
      }
    }
    if (urls_left_ == 0) return too_many_urls(bounds_);
    std::ranges::sort(page_.spots, {}, &Spot::begin);
    const auto same = std::ranges::unique(page_.spots, {}, &Spot::begin);
    page_.spots.erase(same.begin(), same.end());
    return std::move(page_);
  }

 private:
  /// A formatting element that is opened again stands in the source once, and in the tree before.
  static bool is_copy(const GumboNode& node) noexcept {
    return (node.parse_flags & (GUMBO_INSERTION_RECONSTRUCTED_FORMATTING_ELEMENT |
                                GUMBO_INSERTION_ADOPTION_AGENCY_CLONED)) != 0;
  }
  static std::string_view value(const GumboElement& element, const char* name) {
    const GumboAttribute* found = ::gumbo_get_attribute(&element.attributes, name);
    return found ? std::string_view(found->value) : std::string_view();
  }
  static std::string_view tag_of(const GumboElement& element) {
    if (element.tag != GUMBO_TAG_UNKNOWN) return ::gumbo_normalized_tagname(element.tag);
    GumboStringPiece name = element.original_tag;
    ::gumbo_tag_from_original_text(&name);
    return {name.data, name.length};
  }

  std::size_t place(const char* in_source) const {
    return static_cast<std::size_t>(in_source - html_.data());
  }
  bool is_in_source(const GumboStringPiece& piece) const {
    return piece.data && piece.data >= html_.data() &&
           piece.data + piece.length <= html_.data() + html_.size() && piece.length > 0;
  }

  void add(const GumboAttribute& attribute, Spot::Form form, std::vector<SpotUrl> urls) {
    const GumboStringPiece& source = attribute.original_value;
    if (urls.empty() || !is_in_source(source)) return;
    urls_left_ -= urls.size();
    page_.spots.push_back({.form = form,
                           .begin = place(source.data),
                           .end = place(source.data) + source.length,
                           .text = attribute.value,
                           .urls = std::move(urls)});
  }
  void drop(const GumboAttribute& attribute) {
    if (!is_in_source(attribute.original_name)) return;
    const GumboStringPiece& last =
        is_in_source(attribute.original_value) ? attribute.original_value : attribute.original_name;
    page_.spots.push_back({.form = Spot::Form::dropped,
                           .begin = place(attribute.original_name.data),
                           .end = place(last.data) + last.length});
  }

  void element(const GumboElement& element) {
    const std::string_view tag = tag_of(element);
    const GumboVector& attributes = element.attributes;
    for (unsigned i = 0; i < attributes.length && urls_left_ > 0; ++i) {
      const auto& attribute = *static_cast<const GumboAttribute*>(attributes.data[i]);
      const std::string_view name = attribute.name;
      const std::string_view text = attribute.value;
      if (name == "style") {
        add(attribute, Spot::Form::css, urls_of_css(text, urls_left_));
      } else if (name == "srcset" || name == "imagesrcset") {
        add(attribute, Spot::Form::attribute, urls_of_srcset(text, urls_left_));
      } else if (name == "integrity" || name == "crossorigin") {
        // What is rewritten has another hash, and a file has no origin.
        if (tag == "link" || tag == "script" || tag == "img") drop(attribute);
      } else if (tag == "base" && name == "href") {
        if (page_.base.empty()) page_.base = text;
        add(attribute, Spot::Form::base, one_url(text, Use::other));
      } else if (const auto use = use_of_attribute(element, tag, name)) {
        add(attribute, Spot::Form::attribute, one_url(text, *use));
      }
    }
    if (tag == "style" && element.children.length == 1 && urls_left_ > 0) {
      const auto* inside = static_cast<const GumboNode*>(element.children.data[0]);
      if (inside->type == GUMBO_NODE_TEXT) sheet(inside->v.text.original_text);
    }
  }

  static std::optional<Use> use_of_attribute(const GumboElement& element, std::string_view tag,
                                             std::string_view name) {
    struct Rule {
      std::string_view tag;
      std::string_view name;
      Use use;
    };
    static constexpr Rule k_rules[] = {
        {"a", "href", Use::link},           {"area", "href", Use::link},
        {"img", "src", Use::image},         {"input", "src", Use::image},
        {"image", "href", Use::image},      {"image", "xlink:href", Use::image},
        {"use", "href", Use::image},        {"use", "xlink:href", Use::image},
        {"script", "src", Use::script},     {"iframe", "src", Use::frame},
        {"frame", "src", Use::frame},       {"video", "src", Use::media},
        {"video", "poster", Use::image},    {"audio", "src", Use::media},
        {"source", "src", Use::media},      {"track", "src", Use::other},
        {"embed", "src", Use::other},       {"object", "data", Use::other},
        {"body", "background", Use::image}, {"table", "background", Use::image},
        {"td", "background", Use::image},
    };
    if (tag == "link" && name == "href")
      return use_of_link(value(element, "rel"), value(element, "as"));
    if (tag == "image" && name == "src") return Use::image;
    for (const Rule& rule : k_rules) {
      if (rule.tag == tag && rule.name == name) return rule.use;
    }
    return std::nullopt;
  }

  void sheet(const GumboStringPiece& source) {
    if (!is_in_source(source)) return;
    std::vector<SpotUrl> urls = urls_of_css({source.data, source.length}, urls_left_);
    if (urls.empty()) return;
    urls_left_ -= urls.size();
    page_.spots.push_back({.form = Spot::Form::sheet,
                           .begin = place(source.data),
                           .end = place(source.data) + source.length,
                           .text = std::string(source.data, source.length),
                           .urls = std::move(urls)});
  }

  std::string_view html_;
  const ParseBounds& bounds_;
  std::size_t urls_left_;  ///< none: there are too many
  Page page_;
};

/// `text` with other URLs; nothing when none has another.
std::optional<std::string> renamed(std::string_view text, const std::vector<SpotUrl>& urls,
                                   bool css, const Rename& rename) {
  std::string made;
  std::size_t at = 0;
  bool any = false;
  for (const SpotUrl& each : urls) {
    const auto other = rename(each.url, each.use);
    if (!other) continue;
    any = true;
    made.append(text.substr(at, each.begin - at)).append(css ? css_string(*other) : *other);
    at = each.end;
  }
  if (!any) return std::nullopt;
  return made.append(text.substr(at));
}

/// The inside of a <style> cannot say "</style".
bool would_end_the_element(std::string_view sheet) { return sheet.find("</") != sheet.npos; }

}  // namespace

Result<Page> parse_page(std::string_view html, const ParseBounds& bounds) {
  return Collector(html, bounds).run();
}

Result<Page> parse_style(std::string_view css, const ParseBounds& bounds) {
  if (css.size() > bounds.size_max) {
    return Error(Errc::too_large, "parse",
                 fmt::format("it has more than {} bytes", bounds.size_max));
  }
  Page page;
  auto urls = urls_of_css(css, bounds.urls_max + 1);
  if (urls.size() > bounds.urls_max) return too_many_urls(bounds);
  if (urls.empty()) return page;
  page.spots.push_back({.form = Spot::Form::file,
                        .end = css.size(),
                        .text = std::string(css),
                        .urls = std::move(urls)});
  return page;
}

std::string rewrite(std::string_view html, const Page& page, const Rename& rename) {
  std::string made;
  std::size_t at = 0;
  const auto replace = [&](const Spot& spot, std::string_view with) {
    made.append(html.substr(at, spot.begin - at)).append(with);
    at = spot.end;
  };
  for (const Spot& spot : page.spots) {
    if (spot.begin < at) continue;
    if (spot.form == Spot::Form::dropped) {
      replace(spot, "");
      continue;
    }
    if (spot.form == Spot::Form::base) {
      replace(spot, "\"./\"");
      continue;
    }
    const bool css = spot.form != Spot::Form::attribute;
    const auto text = renamed(spot.text, spot.urls, css, rename);
    if (!text) continue;
    const bool in_quotes = spot.form == Spot::Form::attribute || spot.form == Spot::Form::css;
    if (in_quotes)
      replace(spot, '"' + cli::escape_html(*text) + '"');
    else if (spot.form == Spot::Form::file || !would_end_the_element(*text))
      replace(spot, *text);
  }
  return made.append(html.substr(at));
}

}  // namespace rondo::fetch
