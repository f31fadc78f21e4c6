// The one translation unit that holds Asio's TLS bodies (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/ssl/impl/src.hpp>
