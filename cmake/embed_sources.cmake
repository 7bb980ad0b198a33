# cmake -D OUTPUT=FILE.cc -D FUNCTION=embedded_sources -D "SOURCES=a;b;c" -P cmake/embed_sources.cmake, from the include
# root. Writes the definition of jit::FUNCTION(), baracuda/jit/embedded_sources.h. The names are the paths given.

list(SORT SOURCES)
set(rows "")
foreach(source IN LISTS SOURCES)
  file(READ ${source} text)
  string(APPEND rows "    {\"${source}\", R\"source(${text})source\"},\n")
endforeach()

file(WRITE ${OUTPUT} "#include \"baracuda/jit/embedded_sources.h\"

namespace baracuda::jit {

std::span<const EmbeddedSource> ${FUNCTION}() {
  static constexpr EmbeddedSource kSources[] = {
${rows}  };
  return kSources;
}

}  // namespace baracuda::jit
")
