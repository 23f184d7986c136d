// What every Node program here shares: arguments in, one line of JSON out.

/** Runs a program's scenario; its result is printed, its failure ends the process with 1. */
export async function main(scenarios) {
  const [name, ...rest] = process.argv.slice(2);
  const scenario = scenarios[name];
  if (!scenario) {
    console.error(`no scenario ${name}; there are ${Object.keys(scenarios).join(', ')}`);
    process.exit(2);
  }
  try {
    const seen = await scenario(...rest);
    console.log(JSON.stringify(seen ?? {}));
    // A connection that is still open would keep the process alive.
    process.exit(0);
  } catch (error) {
    console.error(error?.stack ?? error);
    process.exit(1);
  }
}

/** Throws unless the two are equal. */
export function equal(seen, expected, what) {
  const [left, right] = [JSON.stringify(seen), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: expected ${right}, saw ${left}`);
}
