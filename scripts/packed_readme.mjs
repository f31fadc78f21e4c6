// A package's README for its archive. Links to files that the archive does not have would lead nowhere: they become the
// path of the file in the repository.
import { posix } from 'node:path';

/** `folder`: of the package, from the root of the repository. `isPacked`: whether the archive has this path. */
export function packedReadme(readme, folder, isPacked) {
  return readme.replace(/\[([^\]]+)\]\((?!#|[a-z]+:)([^)#\s]+)(?:#[^)\s]*)?\)/g, (link, words, path) => {
    if (isPacked(path)) return link;
    const file = posix.join(folder, path);
    return words === file ? `\`${file}\` of the repository` : `${words} (\`${file}\` of the repository)`;
  });
}
