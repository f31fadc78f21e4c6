#include "vectors.hpp"

#include <boost/json/parse.hpp>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace travelchat::test {

boost::json::value load_vectors(const std::string& file) {
  const std::string path = std::string(TRAVELCHAT_VECTORS_DIR) + "/" + file;
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot open " + path);
  return boost::json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
}

std::string_view text_of(const boost::json::value& value) {
  const auto& text = value.as_string();
  return {text.data(), text.size()};
}

}  // namespace travelchat::test
