"""Scenario 1 as it stands in Rasa: one LiteLLM Router per group, several of them in a process. Asks each eight times.

Arguments: for each group its name and the base URLs of its deployments, `one=http://a/v1,http://b/v1`. Who was asked is
counted by the deployments.
"""

import asyncio
import sys

import litellm


async def main() -> None:
    litellm.suppress_debug_info = True
    routers = []
    for argument in sys.argv[1:]:
        group, urls = argument.split("=", 1)
        params = [{"model": "openai/lab", "api_base": url, "api_key": "sk-of-the-deployment"} for url in urls.split(",")]
        models = [{"model_name": group, "litellm_params": each} for each in params]
        routers.append((group, litellm.Router(model_list=models, routing_strategy="usage-based-routing")))
    for group, router in routers:
        for number in range(8):
            message = {"role": "user", "content": f"{group} {number}"}
            await router.acompletion(model=group, messages=[message])
            await asyncio.sleep(0.3)  # its counters change in the background, after the answer


asyncio.run(main())
