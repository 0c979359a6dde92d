// Where the gateway and the simulated deployments are. See ../run.py.
import assert from "node:assert/strict";

export const about = JSON.parse(process.env.SDK_TEST);

/** A simulated deployment, through the lab's control address. */
export class Deployment {
  constructor(name) {
    this.name = name;
  }

  async #call(method, path, body) {
    const answer = await fetch(`${about.control}/deployments/${this.name}${path}`, {
      method,
      body: body && JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text.trim() ? JSON.parse(text) : undefined;
  }

  /** From now on. */
  behave(behaviour) {
    return this.#call("PUT", "", behaviour);
  }

  /** For the next `count` requests. */
  behaveNext(count, behaviour) {
    return this.#call("POST", "/next", { count, behaviour });
  }

  /** Healthy again; what was counted and recorded up to now is not looked at any more. */
  async reset() {
    await this.#call("POST", "/reset");
    // What the last test gave up may still be on its way here.
    const stats = await this.#until((stats) => stats.in_flight === 0);
    assert.equal(stats.in_flight, 0, `${this.name} still answers a request of the last test`);
    this.cancelledBefore = stats.cancelled;
    await this.#call("DELETE", "/requests");
  }

  requests() {
    return this.#call("GET", "/requests");
  }

  /** The one request it got. */
  async one() {
    const requests = await this.requests();
    assert.equal(requests.length, 1);
    return requests[0];
  }

  /** The counts, as soon as they satisfy the condition, or after a while. */
  async #until(condition, milliseconds = 5000) {
    const deadline = Date.now() + milliseconds;
    for (;;) {
      const { stats } = await this.#call("GET", "");
      if (condition(stats) || Date.now() > deadline) return stats;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Resolves when one request was given up by the gateway before its answer ended. */
  async waitCancelled() {
    const stats = await this.#until((stats) => stats.cancelled > this.cancelledBefore);
    assert.equal(stats.cancelled, this.cancelledBefore + 1);
    assert.equal(stats.in_flight, 0);
  }
}

export const lab = Object.fromEntries(about.deployments.map((name) => [name, new Deployment(name)]));

export const resetAll = () => Promise.all(Object.values(lab).map((deployment) => deployment.reset()));
