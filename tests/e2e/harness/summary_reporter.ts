// A last line that a CI reads without knowing the runner: "12 passed, 0 failed".
import type { FullResult, Reporter, Suite, TestCase } from '@playwright/test/reporter';

export default class ClosingLine implements Reporter {
  private tests: TestCase[] = [];

  onBegin(_config: unknown, suite: Suite): void {
    this.tests = suite.allTests();
  }

  onEnd(_result: FullResult): void {
    const count = (outcome: ReturnType<TestCase['outcome']>) =>
      this.tests.filter((test) => test.outcome() === outcome).length;
    process.stdout.write(`${count('expected') + count('flaky')} passed, ${count('unexpected')} failed\n`);
  }

  printsToStdio(): boolean {
    return false;
  }
}
