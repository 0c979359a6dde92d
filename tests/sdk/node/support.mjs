// Where the gateway and the simulated deployments are. See ../run.py.
import assert from "node:assert/strict";

export const about = JSON.parse(process.env.SDK_TEST);

/** A simulated deployment, through the lab's control address. */
export class Deployment {
  constructor(name) {
    this.name = name;
  }

  async #call(method, path, body) {
    const answer = await fetch(`${about.control}/lab/deployments/${this.name}${path}`, {
      method,
      body: body && JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text.trim() ? JSON.parse(text) : undefined;
  }

  async #stats() {
    return (await (await fetch(`${about.control}/lab`)).json()).deployments[this.name].stats;
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
    this.before = (await this.#call("GET", "/requests")).length;
    this.cancelledBefore = (await this.#stats()).cancelled;
  }

  async requests() {
    return (await this.#call("GET", "/requests")).slice(this.before);
  }

  /** The one request it got. */
  async one() {
    const requests = await this.requests();
    assert.equal(requests.length, 1);
    return requests[0];
  }

  /** Resolves when one request was given up by the gateway before its answer ended. */
  async waitCancelled(milliseconds = 5000) {
    const deadline = Date.now() + milliseconds;
    while ((await this.#stats()).cancelled === this.cancelledBefore && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const stats = await this.#stats();
    assert.equal(stats.cancelled, this.cancelledBefore + 1);
    assert.equal(stats.in_flight, 0);
  }
}

export const lab = Object.fromEntries(Object.keys(about.deployments).map((name) => [name, new Deployment(name)]));

export const resetAll = () => Promise.all(Object.values(lab).map((deployment) => deployment.reset()));
